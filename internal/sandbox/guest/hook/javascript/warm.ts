// The hook loads this file to warm up the type stripper.
export const warm: boolean = true;

// The hook loads this file so that the type stripper is ready for the program.
export const warm: boolean = true;

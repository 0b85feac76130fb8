// What the hook loads to have the compiler of types ready.
export const warm: boolean = true;

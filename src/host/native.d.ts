// The package ships no types. Only what file-lock.ts calls is declared.
declare module 'fs-native-extensions' {
  /** Takes an open-file-description lock without waiting. False when another description holds it. */
  export function tryLock(fd: number, options?: { readonly shared?: boolean }): boolean
  export function tryLock(fd: number, offset: number, length: number): boolean
}

/** A step of the bootstrap that cannot go on. The message is for the user; `exitCode` is 2 when the user has to act first. */
export class Failure extends Error {
  constructor(message, exitCode = 1) {
    super(message)
    this.name = 'Failure'
    this.exitCode = exitCode
  }
}

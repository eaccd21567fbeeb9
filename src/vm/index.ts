export {
  type ExecEnd,
  execProgram,
  type ExecRequest,
  type GuestIdentity,
  type RunEnd,
  type RunRequest,
  runCode,
  signalProgram,
  startRepl,
  stopRepl,
  STREAMS,
} from './agent-client.ts'
export { BOOT_TRIES } from './boot-retry.ts'
export { DIAL_STREAMS, dialGuest, type GuestNetwork, setGuestNetwork } from './guest-network.ts'
export { launchVm, type LaunchOptions } from './launch.ts'
export { type NetworkServer, serveNetwork } from './serve-network.ts'
export { type LaunchTiming, type UsageBounds, Vm, type VmEnd } from './vm.ts'

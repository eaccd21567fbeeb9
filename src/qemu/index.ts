export { type AcceleratorOptions, decideAccelerator } from './accelerator-probe.ts'
export type { AcceleratorVerdict } from './accelerator-verdict.ts'
export { chooseJail, type JailMode } from './jail-choice.ts'
export { continueGuest, loadState, saveState } from './machine-state.ts'
export { type ImageFiles, planVm, type PlanOptions } from './plan-vm.ts'
export { canPass, describeExit, type ExitCause, type QemuExit } from './qemu-exit.ts'
export { askQemu, compareVersions, formatVersion, OLDEST_QEMU, programKey, type QemuFeatures } from './qemu-features.ts'
export { QemuProcess, type QemuStartOptions } from './qemu-process.ts'
export { renderQemuArguments, templateArguments } from './qemu-arguments.ts'
export { programFile, resolveProgram } from './qemu-program.ts'
export { type QmpCall, QmpClient, QmpError } from './qmp-client.ts'
export {
  type Accelerator,
  type JailPlan,
  type LayerDisk,
  type MemoryPlan,
  type QemuProgram,
  type VmPlan,
  withMemory,
} from './vm-plan.ts'

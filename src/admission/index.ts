export {
  Admission,
  type AdmissionOptions,
  type AdmissionStats,
  type Reservation,
  type WaitOptions,
} from './admission.ts'
export type { VmCost } from './budget.ts'

import type { Scenario } from './scenario.ts'
import { burst100, burst20 } from './scenarios/burst.ts'
import { coldBoot } from './scenarios/cold-boot.ts'
import { files } from './scenarios/files.ts'
import { idle } from './scenarios/idle.ts'
import { memory } from './scenarios/memory.ts'
import { network } from './scenarios/network.ts'
import { nextRun } from './scenarios/next-run.ts'
import { output } from './scenarios/output.ts'
import { poolHit } from './scenarios/pool-hit.ts'
import { rate } from './scenarios/rate.ts'
import { restore } from './scenarios/restore.ts'
import { sequential } from './scenarios/sequential.ts'

/** All scenarios, in the order in which they run and are shown. */
export const SCENARIOS: readonly Scenario[] = [
  coldBoot,
  restore,
  poolHit,
  nextRun,
  sequential,
  burst20,
  burst100,
  rate,
  memory,
  idle,
  output,
  files,
  network,
]

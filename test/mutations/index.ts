import { channelMutations } from './channel.ts'
import { chaosMutations, hostMutations } from './chaos.ts'
import { guestMutations, systemCallMutations } from './guest.ts'
import { jailMutations } from './jail.ts'
import { kernelMutations } from './kernel.ts'
import { limitMutations } from './limits.ts'
import type { Mutation } from './mutation.ts'
import { networkMutations } from './network.ts'

/** Every protection that `npm run test:mutations` takes away, one after the other. */
export const MUTATIONS: readonly Mutation[] = [
  ...channelMutations,
  ...chaosMutations,
  ...hostMutations,
  ...guestMutations,
  ...systemCallMutations,
  ...jailMutations,
  ...kernelMutations,
  ...limitMutations,
  ...networkMutations,
]

export { mutate, type Mutation } from './mutation.ts'

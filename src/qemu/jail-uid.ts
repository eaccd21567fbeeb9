import { randomInt } from 'node:crypto'
import { CapacityError } from '../base/index.ts'
import { FileLock, type HostPaths, type UidRange, uidLockFile } from '../host/index.ts'

/** A uid that no other VM of this host has, for as long as the lease is held. */
export interface UidLease extends AsyncDisposable {
  readonly uid: number
}

/**
 * Takes a free uid of the range. A lock on its byte of one file keeps processes apart and vanishes with its holder. The
 * search starts anywhere, so that processes rarely try the same one.
 */
export async function leaseUid(paths: Pick<HostPaths, 'runtimeDir'>, range: UidRange): Promise<UidLease> {
  const start = randomInt(range.count)
  for (let offset = 0; offset < range.count; offset += 1) {
    const index = (start + offset) % range.count
    const lock = await FileLock.tryAcquire(uidLockFile(paths), index)
    if (lock !== undefined) return { uid: range.first + index, [Symbol.asyncDispose]: async () => await lock.release() }
  }
  throw new CapacityError(`All ${range.count} uids for VMs are in use on this host`, { waitedMs: 0 })
}

// Which word of one text is which word of another: the longest common subsequence, by Myers' algorithm ("An O(ND)
// Difference Algorithm and Its Variations", 1986). Its cost grows with the differences, of which there are few.

const { Int32Array, Math } = globalThis

/** Words present in one text only, in all. Beyond it alignment is given up: memory grows with its square. */
const DIFFERENCE_LIMIT = 1_000

/** For each word of `printed` the index of its counterpart in `source`, -1 for none; undefined if they differ too much. */
export function alignWords(source: readonly string[], printed: readonly string[]): Int32Array | undefined {
  const trace = findPath(source, printed)
  return trace && readPath(trace, source, printed)
}

/** The furthest points reached with 0, 1, 2, … differences, per diagonal (source index minus printed index). */
function findPath(source: readonly string[], printed: readonly string[]): Int32Array[] | undefined {
  const limit = Math.min(DIFFERENCE_LIMIT, source.length + printed.length)
  const furthest = new Int32Array(2 * limit + 3)
  const trace: Int32Array[] = []
  for (let differences = 0; differences <= limit; differences++) {
    trace.push(furthest.slice(limit + 1 - differences - 1, limit + 1 + differences + 2))
    for (let diagonal = -differences; diagonal <= differences; diagonal += 2) {
      const at = limit + 1 + diagonal
      let x = stepsDown(furthest, at, diagonal, differences) ? valueAt(furthest, at + 1) : valueAt(furthest, at - 1) + 1
      while (x < source.length && x - diagonal < printed.length && source[x] === printed[x - diagonal]) x++
      furthest[at] = x
      if (x >= source.length && x - diagonal >= printed.length) return trace
    }
  }
  return undefined
}

/** Whether the best way to a diagonal adds a word of `printed` (from the diagonal above) or drops one of `source`. */
function stepsDown(furthest: Int32Array, at: number, diagonal: number, differences: number): boolean {
  return (
    diagonal === -differences || (diagonal !== differences && valueAt(furthest, at - 1) < valueAt(furthest, at + 1))
  )
}

function readPath(trace: readonly Int32Array[], source: readonly string[], printed: readonly string[]): Int32Array {
  const counterpart = new Int32Array(printed.length).fill(-1)
  let x = source.length
  let y = printed.length
  for (let differences = trace.length - 1; differences >= 0; differences--) {
    const furthest = trace[differences] as Int32Array
    const diagonal = x - y
    const at = differences + 1 + diagonal
    const previous = diagonal + (stepsDown(furthest, at, diagonal, differences) ? 1 : -1)
    const previousX = differences === 0 ? 0 : valueAt(furthest, differences + 1 + previous)
    const previousY = differences === 0 ? 0 : previousX - previous
    while (x > previousX && y > previousY) counterpart[--y] = --x
    x = previousX
    y = previousY
  }
  return counterpart
}

function valueAt(array: Int32Array, index: number): number {
  return array[index] ?? 0
}

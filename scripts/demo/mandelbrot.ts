// Types, generics and top-level await, run as they stand; the rows stream out as they are computed.
interface Point {
  readonly re: number
  readonly im: number
}

function escapeTime({ re, im }: Point, limit: number): number {
  let [x, y, n] = [0, 0, 0]
  for (; n < limit && x * x + y * y <= 4; n += 1) [x, y] = [x * x - y * y + re, 2 * x * y + im]
  return n
}

function* range(from: number, to: number, steps: number): Generator<number> {
  for (let i = 0; i <= steps; i += 1) yield from + ((to - from) * i) / steps
}

const shades = ' .:-=+*#%@' as const
const rows: string[] = []
for (const im of range(-1.1, 1.1, 12)) {
  const row = [...range(-2.2, 0.8, 56)].map((re) => {
    const n = escapeTime({ re, im }, 200)
    return n === 200 ? '@' : shades.charAt(Math.min(n, shades.length - 2))
  })
  rows.push(row.join('').trimEnd())
  console.log(rows.at(-1))
}

const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(rows.join('\n')))
console.log(`Bun ${Bun.version}; sha256 of the picture: ${Buffer.from(digest).toString('hex').slice(0, 32)}`)
try {
  await fetch('http://192.0.2.1/', { signal: AbortSignal.timeout(5000) })
  console.log('the network is reachable: that is a bug')
  process.exit(1)
} catch (error) {
  console.log(`without permission there is no network: ${error instanceof Error ? error.name : String(error)}`)
}

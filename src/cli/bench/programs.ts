import type { Language } from '../../sandbox/index.ts'

/** The smallest program with a result that cannot come from anywhere else. */
export const ANSWER: Readonly<Record<Language, string>> = {
  python: 'print(6*7)',
  javascript: 'console.log(6*7)',
  bash: 'echo $((6*7))',
}

/** @throws when a program that prints 42 printed something else: what was measured was no run */
export function checkAnswer(output: string): void {
  if (output !== '42\n') throw new Error(`expected the output "42", got ${JSON.stringify(output.slice(0, 200))}`)
}

/** Bytes that `FLOOD` writes: as many as the product passes on of one run (semantics §2). */
export const FLOOD_BYTES = 1_000_000

/** Writes `FLOOD_BYTES` in pieces of 50 000, as a program does that has much to say. */
export const FLOOD: Readonly<Record<Language, string>> = {
  python: "import sys\nfor _ in range(20): sys.stdout.write('x' * 50_000)\nsys.stdout.flush()",
  javascript: "for (let i = 0; i < 20; i += 1) process.stdout.write('x'.repeat(50_000))",
  bash: "printf -v x '%50000s' ''; for i in {1..20}; do printf %s \"$x\"; done",
}

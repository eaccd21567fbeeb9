/** How many requirements each chapter has: its ids run from 01 without a gap, e.g. A01 to A15. */
const CHAPTERS: Readonly<Record<string, number>> = { A: 15, B: 10, C: 14, D: 10, E: 10, F: 8, G: 10 }

/** The ids of all requirements, in order. */
export const REQUIREMENT_IDS: readonly string[] = Object.entries(CHAPTERS).flatMap(([chapter, count]) =>
  Array.from({ length: count }, (_, index) => chapter + String(index + 1).padStart(2, '0')),
)

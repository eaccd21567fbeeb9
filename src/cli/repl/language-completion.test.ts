import { describe, expect, it } from 'vitest'
import type { RunResult } from '../../sandbox/index.ts'
import { answerOf, nameBefore, questionOf } from './language-completion.ts'

describe('nameBefore', () => {
  it.each([
    ['pri', [], 'pri'],
    ['print(a.b.c', ['a', 'b'], 'c'],
    ['a.', ['a'], ''],
    ['x = [größe.w', ['größe'], 'w'],
    ['...list.m', undefined, ''],
    ['$x.y', ['$x'], 'y'],
  ])('%j', (line, path, prefix) => {
    expect(nameBefore(line)).toEqual(path === undefined ? undefined : { path, prefix })
  })

  it.each(['', 'f().x', 'a[0].x', "'text'.x", '1.x', 'a b ', '`${x}`.y', '"text'])(
    'has nothing to look up in %j',
    (line) => {
      expect(nameBefore(line)).toBeUndefined()
    },
  )
})

describe('questionOf', () => {
  it.each(["echo 'a", 'echo "a', 'echo a*', 'echo a\\ b', 'echo "a b', "echo 'a b", 'echo ~/a', 'echo a$b', ''])(
    'asks bash nothing about %j',
    (line) => {
      expect(questionOf('bash', line, 0)).toBeUndefined()
    },
  )

  it('puts what was typed into the question as data', () => {
    expect(questionOf('bash', 'ls; ech', 3)?.code).toMatch(/compgen -c .* -- 'ech'.*exit 3/s)
    expect(questionOf('bash', 'ls sub/f', 3)?.code).toMatch(/compgen -f .* -- 'sub\/f'/)
    expect(questionOf('bash', 'echo $HO', 3)).toMatchObject({
      code: expect.stringContaining('-A variable'),
      replaced: '$HO',
    })
    expect(questionOf('python', 'os.pa', 0)?.code).toContain('"path": ["os"], "prefix": "pa"')
    expect(questionOf('javascript', 'a.b', 0)?.code).toContain('(["a"], "b")')
  })
})

describe('answerOf', () => {
  const question = { code: '', replaced: 'o', mark: 'MARK' }
  const resultOf = (stdout: string, text?: string): RunResult =>
    ({ stdout, results: text === undefined ? [] : [{ text }] }) as unknown as RunResult

  it('takes names and nothing else from a guest', () => {
    const answer = answerOf('python', resultOf('from a thread\n', "'ok ok \u001b[2J a.b größe'"), question)
    expect(answer).toEqual({ words: ['ok', 'größe'], rest: 'from a thread\n' })
    expect(answerOf('javascript', resultOf('', '""'), question)).toEqual({ words: [], rest: '' })
    expect(answerOf('javascript', resultOf(''), question)).toEqual({ words: [], rest: '' })
  })

  it("tells bash's answer from the output of its jobs, and quotes file names", () => {
    const stdout = 'MARKo dd\nfrom a job\nMARKo;rm\nMARKodir\nMARKodir/\nMARKo\u001b[2J\n'
    expect(answerOf('bash', resultOf(stdout), question)).toEqual({
      words: ['o\\ dd', 'o\\;rm', 'odir/'],
      rest: 'from a job\n',
    })
  })
})

import { type Case, lines } from './case.ts'
import { fails, ok, python } from './python-case.ts'

/** Displayed values and their forms. */
export const pythonResultCases: readonly Case[] = [
  python('an object is displayed in all the forms it has', [
    ok(
      lines`
        class Rich:
            def __repr__(self): return 'Rich()'
            def _repr_html_(self): return '<b>x</b>'
            def _repr_markdown_(self): return '**x**'
            def _repr_latex_(self): return '$x$', {'metadata': 1}
            def _repr_svg_(self): return '<svg/>'
            def _repr_png_(self): return b'\x89PNG'
            def _repr_json_(self): return {'a': [1, None]}
        Rich()
      `,
      {
        results: ['Rich()'],
        resultTypes: [
          ['application/json', 'image/png', 'image/svg+xml', 'text/html', 'text/latex', 'text/markdown', 'text/plain'],
        ],
        resultData: [
          {
            'text/html': '<b>x</b>',
            'text/latex': '$x$',
            'image/png': 'iVBORw==',
            'application/json': { a: [1, null] },
          },
        ],
      },
    ),
  ]),
  python('a bundle of forms goes before the forms one by one', [
    ok(
      lines`
        class Bundle:
            def _repr_mimebundle_(self, include, exclude):
                return {'text/plain': 'as text', 'text/html': '<i>', 'application/x+json': {}}, {'text/html': {}}
            def _repr_html_(self): return '<b>'
            def __repr__(self): raise ValueError('not needed')
        Bundle()
      `,
      {
        results: ['as text'],
        resultTypes: [['application/x+json', 'text/html', 'text/plain']],
        resultData: [{ 'text/html': '<i>' }],
      },
    ),
  ]),
  python('forms that fail, are absent or too large are left out, the text stays', [
    ok(
      lines`
        class Partly:
            def __repr__(self): return 'Partly()'
            def _repr_html_(self): return 'x' * 600_000
            def _repr_svg_(self): return None
            def _repr_markdown_(self): raise ValueError
            def _repr_json_(self): return {'not': float('nan')}
            def _repr_latex_(self): return '$x$'
        Partly()
      `,
      { results: ['Partly()'], resultTypes: [['text/latex', 'text/plain']], stderr: '' },
    ),
  ]),
  python('display takes several values, and bundles as they are', [
    ok('print("before")\ndisplay(1, "two")\ndisplay(None)\nprint("after")', {
      stdout: 'before\nafter\n',
      results: ['1', "'two'", 'None'],
    }),
    ok('display({"text/plain": "p", "text/html": "<p>"}, raw=True)', {
      results: ['p'],
      resultTypes: [['text/html', 'text/plain']],
    }),
    ok('display({"application/json": {"a": 1}}, raw=True)', {
      resultTypes: [['application/json']],
      resultData: [{ 'application/json': { a: 1 } }],
    }),
    ok('def display(x): print("mine", x)\ndisplay(1)', { stdout: 'mine 1\n', results: [] }),
    ok('del display\ndisplay(2)', { results: ['2'] }),
  ]),
  python('a value that cannot be shown is an error of the program', [
    fails('class Bad:\n    def __repr__(self): raise RuntimeError("no")\nBad()', 'RuntimeError', {
      results: [],
      stderr: /line 2, in __repr__/,
    }),
    fails('class Worse:\n    def __repr__(self): return 5\nWorse()', 'TypeError', { results: [] }),
    ok('x = [1]\nx.append(x)\nx', { results: ['[1, [...]]'] }),
    ok('Bad', { results: ["<class '__main__.Bad'>"] }),
  ]),
]

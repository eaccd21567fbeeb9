"""The backend of matplotlib in the REPL: draws in memory and displays at `show()` and at the end of a run."""

from builtins import display

from matplotlib._pylab_helpers import Gcf
from matplotlib.backend_bases import FigureManagerBase
from matplotlib.backends.backend_agg import FigureCanvasAgg

from . import figures

__builtins__ = __builtins__.copy()


class FigureManager(FigureManagerBase):
    @classmethod
    def pyplot_show(cls, *, block=None):
        end_run()

    def show(self):
        _display(self.canvas.figure)


class FigureCanvas(FigureCanvasAgg):
    manager_class = FigureManager


def end_run(show=True):
    """Displays what is open and has not been displayed in this run, and closes it: the next run starts afresh."""
    managers = [manager for manager in Gcf.get_all_fig_managers() if isinstance(manager, FigureManager)]
    try:
        for manager in managers:
            figure = manager.canvas.figure
            if show and figure not in figures.displayed:
                _display(figure)
    finally:
        figures.displayed.clear()
        for manager in managers:
            Gcf.destroy(manager)


def _display(figure):
    """Unlike a result's rich form, a figure that cannot be drawn is an error."""
    png = figures.draw(figure)
    display({"text/plain": repr(figure)} | ({} if png is None else {"image/png": png}), raw=True)

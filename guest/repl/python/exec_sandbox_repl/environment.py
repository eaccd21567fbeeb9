"""Environment entries of a call and of the sandbox, and fresh seeds after a restore."""

import sys
import time
from _random import Random
from os import environ
from sys import modules

__builtins__ = __builtins__.copy()

# Of an `S` message.
SEED_LENGTH = 32

_seed_twister = Random.seed

# Generators that modules have made for themselves, and how many modules there were when they were looked for.
_generators = ()
_modules_searched = 0


def set_for_good(entries):
    """Entries of the sandbox, in the order in which they came."""
    for name, value in entries:
        environ[name] = value
    _apply({name for name, _ in entries})


def set_for_call(entries):
    """Sets the entries of one call and gives back what `restore` needs."""
    previous = [(name, environ.get(name)) for name, _ in entries]
    set_for_good(entries)
    return previous


def restore(previous):
    # In reverse: a name that came twice gets back what it had before the first.
    for name, value in reversed(previous):
        if value is None:
            environ.pop(name, None)
        else:
            environ[name] = value
    _apply({name for name, _ in previous})


def parse_entry(payload):
    name, _, value = payload.decode("utf-8", "surrogateescape").partition("=")
    return name, value


def adopt_search_path():
    """What Python takes from its surroundings at its start, had it not been started isolated."""
    # `pip install` by a user who may not write to the system puts packages here, perhaps for the first time.
    home = environ.get("HOME", "/home/user")
    user_site = f"{home}/.local/lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"
    if user_site not in sys.path:
        system = [i for i, entry in enumerate(sys.path) if entry.endswith("/dist-packages")]
        sys.path.insert(system[0] if system else len(sys.path), user_site)
    for entry in reversed(environ.get("PYTHONPATH", "").split(":")):
        if entry and entry not in sys.path:
            sys.path.insert(1, entry)


def reseed(seed):
    """Reseeds generators that were seeded before the template was saved.

    Only those of modules that are loaded. os.urandom, uuid4 and secrets ask the kernel. The seed of str
    hashes is fixed when the interpreter starts and stays what the template had, as do addresses.
    """
    for name, renew in RENEWALS:
        module = modules.get(name)
        if module is not None:
            try:
                renew(module, seed)
            except Exception:
                pass  # User code has put something else in the module's place.
    _renew_generators(int.from_bytes(seed, "little"))


def _renew_generators(seed):
    global _generators, _modules_searched
    if len(modules) != _modules_searched:
        _modules_searched = len(modules)
        _generators = _find_generators()
    for number, (generator, renew) in enumerate(_generators, 1):
        try:
            renew(generator, seed + number)
        except Exception:
            pass  # A class of the module's own, with ideas of its own.


def _find_generators():
    """Generators that modules made when they were imported, each with what reseeds it.

    Looking through all objects takes long, so it is done only when modules were loaded since: what a template was warmed with
    is searched when the resume is rehearsed before it is saved, and a clone finds the list.
    """
    import gc

    kinds = [
        (getattr(modules.get(module), name, None), renew)
        for module, name, renew in (
            ("random", "SystemRandom", None),
            ("random", "Random", _renew_instance),
            ("numpy.random", "RandomState", _renew_state),
            ("numpy.random", "Generator", _renew_generator),
        )
    ]
    kinds = [(kind, renew) for kind, renew in kinds if isinstance(kind, type)]
    renewal_of = {}  # By class: there are few of those, and many objects.
    found = []
    for candidate in gc.get_objects():
        of = type(candidate)  # isinstance would ask objects that answer with code of their own.
        if of not in renewal_of:
            renewal_of[of] = next((renew for kind, renew in kinds if kind in of.__mro__), None)
        if renewal_of[of] is not None:
            found.append((candidate, renewal_of[of]))
    return tuple(found)


def _renew_instance(instance, seed):
    _seed_twister(instance, seed)
    instance.gauss_next = None


def _renew_state(state, seed):
    state.seed([seed >> shift & 0xFFFFFFFF for shift in range(0, 256, 32)])


def _renew_generator(generator, seed):
    bits = generator.bit_generator
    bits.state = type(bits)(seed).state


def _renew_random(random, seed):
    # Not random.seed: it would hash the bytes first, with code that a clone uses for nothing else.
    _seed_twister(random._inst, int.from_bytes(seed, "little"))
    random._inst.gauss_next = None


def _renew_numpy(numpy_random, seed):
    numpy_random.seed([int.from_bytes(seed[i : i + 4], "little") for i in range(0, len(seed), 4)])


def _renew_openssl(openssl, seed):
    openssl.RAND_add(seed, 0.0)  # Its generators live in the process; this reseeds them.


def _renew_uuid(uuid, _seed):
    uuid._node = None  # uuid1 and uuid6: a random node when there is no network card.
    uuid._last_timestamp = None  # The clock may have been set back.


def _renew_tempfile(tempfile, _seed):
    tempfile._name_sequence = None


def _renew_logging(logging, _seed):
    logging._startTime = time.time_ns()  # What `relativeCreated` counts from.


RENEWALS = (
    ("random", _renew_random),
    ("numpy.random", _renew_numpy),
    ("_ssl", _renew_openssl),
    ("uuid", _renew_uuid),
    ("tempfile", _renew_tempfile),
    ("logging", _renew_logging),
)


def _apply(names):
    if "TZ" in names:
        time.tzset()
    if "PYTHONPATH" in names:
        adopt_search_path()

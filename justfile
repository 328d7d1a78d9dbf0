# Commands for developers; `just` alone lists them. `pip install '.[test]'` brings `just`.
set positional-arguments

_list:
    @just --list --unsorted

# Run the tests that finish in seconds.
quick *args:
    pytest -m "not slow" "$@"

# Run every test; fuzzing, kill and load tests run short.
test *args:
    pytest "$@"

# Run every test; fuzzing, kill and load tests run at full length.
long *args:
    GALAXALIGN_LONG=1 pytest "$@"

# Check style and types.
lint:
    ruff check .
    ruff format --check .
    mypy

# Build the documentation; a warning is an error.
docs out="build/docs":
    sphinx-build -W --keep-going docs "{{ out }}"

# Run the small benchmark on simulated galaxies (about five minutes on two cores).
bench out="build/bench":
    galaxalign simulate --taxonomy galaxy10_decals --n 120 --size 64 --out "{{ out }}/survey"
    galaxalign benchmark benchmarks/smoke.toml --data "{{ out }}/survey" --out "{{ out }}/results"

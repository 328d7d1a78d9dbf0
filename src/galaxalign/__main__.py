"""`python -m galaxalign`."""

from galaxalign.cli import main

if __name__ == "__main__":
    main()

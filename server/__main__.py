"""`python -m server`, the same as the command `descant`."""

import os


def main() -> None:
    # Read when numpy is loaded. Its threads go on turning between the products of two windows' features: half a core of two,
    # and partial texts of two streams came 100 ms later. The threads that models compute with are a setting.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from server.cli.app import app

    app()


if __name__ == "__main__":
    main()

"""`python -m server`, the same as the command `descant`."""

from server.cli.app import app


def main() -> None:
    app()


if __name__ == "__main__":
    main()

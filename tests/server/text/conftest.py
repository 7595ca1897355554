"""One front end for all tests of this folder: it takes half a second to load."""

import pytest

from server.text.frontend import TextFrontEnd


@pytest.fixture(scope="session")
def front_end() -> TextFrontEnd:
    return TextFrontEnd()

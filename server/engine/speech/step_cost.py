"""What a step will take, learnt from the steps before: arithmetic only.

A step costs something whatever is in it, something for each row that begins
(its text is encoded), and something for each second of audio that is computed.
A batch is padded to its longest row, so the last part grows with rows x longest.
"""

FORGETTING = 0.1
"""Weight of the newest step: a neighbour that takes the processor is noticed after some ten steps."""
PROPORTIONAL = 0.01
"""How strongly `SHARE_OF_LOAD` is believed where loads hardly differ, as a relative variance of them."""
SHARE_OF_LOAD = 0.9
"""Part of a step's cost that is taken to grow with its load as long as only like steps were seen."""
LEAST_SHARE_OF_LOAD = 0.5
"""The same, whatever was seen: one step that was slow by chance would else make the next burst look free."""
FIRST_ROW_S = 0.005
"""A first audio, before anything was measured."""
AUDIO_COST = 0.05
"""Seconds per second of audio, before anything was measured."""
CHUNKS = 8
"""Chunks of a slot whose lengths are told apart; all later ones are as the last."""
CHUNK_S = 0.1
"""Length of a chunk, before one was seen."""


class CostLine:
    """``seconds = base_s + slope * load``, both never negative, fitted to recent steps by least squares.

    Where the loads seen hardly differ nothing can be known of the base. Then a
    guess counts: taking all of the cost as base would make the next burst one
    endless step, taking all as load would never try a larger one.

    The base is at most half of the mean step. A schedule that makes steps twice their base therefore never makes
    them longer than they are for that reason alone.
    """

    def __init__(self, slope: float) -> None:
        self.base_s = 0.0
        self.slope = slope
        self._mean_load = self._mean_s = self._load_squared = self._product = 0.0
        self._known = False

    def add(self, load: float, took_s: float) -> None:
        """A step of this load (above zero) took that long."""
        share = FORGETTING if self._known else 1.0
        self._known = True
        self._mean_load += share * (load - self._mean_load)
        self._mean_s += share * (took_s - self._mean_s)
        self._load_squared += share * (load * load - self._load_squared)
        self._product += share * (load * took_s - self._product)
        proportional = self._mean_s / self._mean_load
        doubt = PROPORTIONAL * self._mean_load**2
        variance = max(0.0, self._load_squared - self._mean_load**2)
        covariance = self._product - self._mean_load * self._mean_s
        # A base below zero would make small steps free, a slope below zero large ones.
        fitted = (covariance + doubt * SHARE_OF_LOAD * proportional) / (variance + doubt)
        self.slope = min(proportional, max(LEAST_SHARE_OF_LOAD * proportional, fitted))
        self.base_s = self._mean_s - self.slope * self._mean_load


class StepCost:
    """Estimates for one model: of steps with rows that begin, of steps that go on, and how long chunks are."""

    def __init__(self) -> None:
        self._first = CostLine(FIRST_ROW_S)
        self._going_on = CostLine(AUDIO_COST)
        self._chunks_s: list[float] = []

    def base_s(self, rows: int, first_rows: int) -> float:
        """What a step of such rows costs whatever is in it."""
        first_s = self._first.base_s if first_rows else 0.0
        return max(first_s, self._going_on.base_s) if rows > first_rows else first_s

    def chunk_s(self, chunks_given: int) -> float:
        """Audio in the next chunk of a slot that has given so many."""
        if not self._chunks_s:
            return CHUNK_S
        return self._chunks_s[min(chunks_given, len(self._chunks_s) - 1)]

    def saw_chunk(self, chunks_given: int, audio_s: float) -> None:
        """Chunks at the end of a text are shorter, so the longest one counts."""
        if chunks_given < len(self._chunks_s):
            self._chunks_s[chunks_given] = max(self._chunks_s[chunks_given], audio_s)
        elif chunks_given < CHUNKS:
            self._chunks_s += [audio_s] * (chunks_given + 1 - len(self._chunks_s))

    def of(self, rows: int, first_rows: int, longest_s: float) -> float:
        """Seconds that a step should take; ``first_rows`` of its rows begin to speak."""
        beyond_s = self._beyond_first_s(rows, first_rows, longest_s)
        base_s = self.base_s(rows, first_rows)
        return base_s + self._first.slope * first_rows + self._going_on.slope * beyond_s

    def measured(self, rows: int, first_rows: int, longest_s: float, took_s: float) -> None:
        """A step took that long. The part that is less sure is blamed: that of the rows there are more of."""
        beyond_s = self._beyond_first_s(rows, first_rows, longest_s)
        if 2 * first_rows >= rows:
            self._first.add(first_rows, max(0.0, took_s - self._going_on.slope * beyond_s))
        elif beyond_s > 0.0:
            self._going_on.add(beyond_s, max(0.0, took_s - self._first.slope * first_rows))

    def _beyond_first_s(self, rows: int, first_rows: int, longest_s: float) -> float:
        """Audio seconds, padding included, beyond the first chunks that `FIRST_ROW_S` and its like include."""
        return max(0.0, rows * longest_s - first_rows * self.chunk_s(0))

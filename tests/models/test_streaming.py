import pytest
import torch

from models.streaming import CausalConv


@pytest.fixture
def conv() -> CausalConv:
    torch.manual_seed(0)
    return CausalConv(channels=6, kernel_frames=4)


def test_looks_back_only(conv: CausalConv) -> None:
    x = torch.randn(1, 10, 6)
    changed = x.clone()
    changed[:, 5:] += 1.0
    y, _ = conv(x, conv.init_state(1))
    y_changed, _ = conv(changed, conv.init_state(1))
    assert torch.equal(y[:, :5], y_changed[:, :5])
    assert not torch.equal(y[:, 5], y_changed[:, 5])


def test_rows_with_chunks_of_their_own_length_equal_whole_streams(conv: CausalConv) -> None:
    x = torch.randn(3, 12, 6)
    whole, _ = conv(x, conv.init_state(3))
    state = conv.init_state(3)
    done = torch.zeros(3, dtype=torch.int64)
    pieces: list[list[torch.Tensor]] = [[], [], []]
    for lengths in torch.tensor([[4, 0, 1], [4, 3, 0], [0, 4, 2], [4, 4, 4], [0, 1, 4], [0, 0, 1]]):
        chunk = torch.full((3, 4, 6), torch.nan)  # what is not real must not matter
        for row, length in enumerate(lengths.tolist()):
            chunk[row, :length] = x[row, done[row] : done[row] + length]
        before = state.clone()
        y, state = conv(chunk, state, lengths)
        for row, length in enumerate(lengths.tolist()):
            pieces[row].append(y[row, :length])
            if length == 0:
                assert torch.equal(state[row].view(torch.int32), before[row].view(torch.int32))
        done += lengths
    assert done.tolist() == [12, 12, 12]
    assert torch.equal(torch.stack([torch.cat(row) for row in pieces]), whole)


def test_a_pool_of_states_is_stepped_by_indexing(conv: CausalConv) -> None:
    pool = torch.randn(5, 3, 6)
    before = pool.clone()
    slots = torch.tensor([3, 1])
    x = torch.randn(2, 2, 6)
    _, stepped = conv(x, pool[slots])
    pool[slots] = stepped
    assert torch.equal(pool[[0, 2, 4]], before[[0, 2, 4]])
    for position, slot in enumerate(slots.tolist()):
        alone = slice(position, position + 1)
        assert torch.equal(pool[slot], conv(x[alone], before[slot : slot + 1])[1][0])


def test_state_has_the_asked_dtype_and_is_silent(conv: CausalConv) -> None:
    state = conv.init_state(2, "cpu", torch.float16)
    assert state.shape == (2, 3, 6)
    assert state.dtype == torch.float16
    assert not state.any()


def test_white_input_keeps_its_variance() -> None:
    torch.manual_seed(1)
    conv = CausalConv(channels=512, kernel_frames=9)
    y, _ = conv(torch.randn(1, 400, 512), conv.init_state(1))
    assert y.var().item() == pytest.approx(1.0, rel=0.1)


@pytest.mark.parametrize(("channels", "kernel_frames"), [(0, 3), (4, 0)])
def test_empty_sizes_are_refused(channels: int, kernel_frames: int) -> None:
    with pytest.raises(ValueError, match="must be at least 1"):
        CausalConv(channels, kernel_frames)

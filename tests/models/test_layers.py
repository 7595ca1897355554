import torch

from models.layers import LayerNorm


def test_layer_norm_is_torch_layer_norm_with_its_parameter_names() -> None:
    torch.manual_seed(0)
    ours, theirs = LayerNorm(12), torch.nn.LayerNorm(12)
    torch.nn.init.normal_(theirs.weight)
    torch.nn.init.normal_(theirs.bias)
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, 5, 12)
    torch.testing.assert_close(ours(x), theirs(x))

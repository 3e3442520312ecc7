"""What fused models share with the plain ones, and which models are refused."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import snntorch
import torch
from snntorch import surrogate
from torch import Tensor, nn

import aspen
from aspen.errors import InputError, ModelError
from tests.aspen.fused.fused_models import BATCH, assert_alike, assert_steps_alike, busy_input, dense, leaky, make_exact

FLOAT = 1e-5


class Net(nn.Module):
    """Two layers in a loop, with a hook for each way to spoil it."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(5, 6), nn.Linear(6, 3)
        self.lif1, self.lif2 = leaky(), leaky()

    def between(self, step: Tensor, number: int) -> Tensor:
        """What happens to the hidden spikes."""
        return step

    def finish(self, spikes: list[Tensor], membranes: list[Tensor]) -> Any:
        """What is returned."""
        return torch.stack(spikes)

    def carry(self, membrane: Tensor) -> Tensor:
        """What happens to a state between two steps."""
        return membrane

    def forward(self, inputs: Tensor) -> Any:
        first, second = self.lif1.reset_mem(), self.lif2.reset_mem()
        spikes, membranes = [], []
        for number in range(inputs.shape[0]):
            hidden, first = self.lif1(self.fc1(inputs[number]), first)
            step, second = self.lif2(self.fc2(self.between(hidden, number)), second)
            first = self.carry(first)
            spikes.append(step)
            membranes.append(second)
        return self.finish(spikes, membranes)


def net(**methods: Callable[..., Any]) -> Net:
    torch.manual_seed(0)
    return make_exact(type("Changed", (Net,), methods)())  # type: ignore[return-value]


RETURNS: dict[str, Callable[..., Any]] = {
    "stacked": lambda self, s, m: torch.stack(s),
    "batch first": lambda self, s, m: torch.stack(s, dim=1),
    "sum": lambda self, s, m: torch.stack(s).sum(0),
    "mean": lambda self, s, m: torch.stack(s).mean(dim=0),
    "last membrane": lambda self, s, m: m[-1],
    "running sum": lambda self, s, m: sum(s),
    "both": lambda self, s, m: (torch.stack(s), torch.stack(m)),
    "list": lambda self, s, m: s,
}


@pytest.mark.parametrize("returned", RETURNS)
def test_what_a_loop_returns(returned: str) -> None:
    looped = assert_alike(net(finish=RETURNS[returned]), busy_input(5), FLOAT)
    assert float(looped[0].abs().sum()) > 0


def test_a_dict_is_returned_as_a_dict() -> None:
    model = net(finish=lambda self, s, m: {"spikes": torch.stack(s), "steps": None})
    made = aspen.fuse(model)(busy_input(5))
    assert made.keys() == {"spikes", "steps"}
    assert torch.equal(made["spikes"], model(busy_input(5))["spikes"])


class Step(nn.Module):
    """One step that takes and returns its states."""

    def __init__(self) -> None:
        super().__init__()
        self.fc, self.lif, self.out, self.last = nn.Linear(5, 6), leaky(), nn.Linear(6, 3), leaky()

    def forward(self, step: Tensor, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        hidden, first = self.lif(self.fc(step), first)
        spikes, second = self.last(self.out(hidden), second)
        return spikes, first, second


def test_a_step_that_takes_and_returns_its_states() -> None:
    model = make_exact(Step())
    made = aspen.fuse(model)(busy_input(5))
    states = (torch.zeros(BATCH, 6), torch.zeros(BATCH, 3))
    for t, step in enumerate(busy_input(5)):
        spikes, *states = model(step, *states)  # type: ignore[assignment]
        for found, expected in zip(made, (spikes, *states), strict=True):
            assert torch.equal(found[t], expected)


def test_skips_reshapes_and_shared_layers() -> None:
    class Skips(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc, self.again = nn.Linear(6, 6), nn.Linear(12, 6)
            self.one, self.two = leaky(init_hidden=True), leaky(init_hidden=True)

        def forward(self, step: Tensor) -> Tensor:
            flat = step.view(step.shape[0], -1)
            hidden = self.one(self.fc(flat))
            joined = torch.cat([hidden, flat], dim=1)
            spikes: Tensor = self.two(self.again(joined) + self.fc(hidden) + torch.relu(self.one.mem))
            return spikes

    assert_steps_alike(make_exact(Skips()), busy_input(2, 3), FLOAT)


SPOILS: dict[str, tuple[dict[str, Callable[..., Any]], str]] = {
    "detached": ({"carry": lambda self, v: v.detach()}, "lif1 .*its state 'mem' is not, at step 1, what"),
    "halved": ({"carry": lambda self, v: v * 0.5}, "lif1 .*its state 'mem' is not"),
    "mixed": ({"between": lambda self, s, t: s - s.mean(0)}, "lif2 .*does not come from that step and sample alone"),
    "counted": ({"between": lambda self, s, t: s * (t + 1)}, "lif2 .*does not come from that step"),
    "noisy": ({"between": lambda self, s, t: s + torch.randn_like(s)}, "lif2 .*is made at random"),
    "looked at": ({"between": lambda self, s, t: s if s.sum() > 3 else s * 2}, "found '__bool__' on values"),
    "softmax": ({"finish": lambda self, s, m: torch.stack(s).sum(0).softmax(-1)}, "return all steps"),
    "twice": ({"between": lambda self, s, t: self.lif1(s)[0]}, "lif1 .*its state 'mem' is not"),
}


@pytest.mark.parametrize("spoil", SPOILS)
def test_what_cannot_be_fused_is_refused_by_name(spoil: str) -> None:
    methods, message = SPOILS[spoil]
    with pytest.raises(ModelError, match=message):
        aspen.fuse(net(**methods), busy_input(5))
    with pytest.raises(ModelError, match=message):
        aspen.fuse(net(**methods))(busy_input(5))


def test_a_loop_over_steps_of_its_own_is_refused() -> None:
    class Repeats(Net):
        def forward(self, inputs: Tensor) -> Any:
            return super().forward(inputs.expand(7, *inputs.shape))

    with pytest.raises(ModelError, match=r"neither a loop over the first .*it calls neurons several times"):
        aspen.fuse(Repeats(), busy_input(5))


def test_spikes_of_the_step_before_are_refused() -> None:
    def between(self: Any, step: Tensor, number: int) -> Tensor:
        before = self.kept if number else torch.zeros_like(step)
        self.kept = step
        return step + before

    with pytest.raises(ModelError, match=r"lif2 .*earlier steps"):
        aspen.fuse(net(between=between), busy_input(5))


def test_a_longer_delay_is_found_when_the_sequence_is_long_enough() -> None:
    def between(self: Any, step: Tensor, number: int) -> Tensor:
        self.kept = [step] if number == 0 else [*self.kept, step]
        return step + self.kept[number - 5] if number >= 5 else step

    fused = aspen.fuse(net(between=between))
    fused(busy_input(5)[:5])
    with pytest.raises(ModelError, match="earlier steps"):
        fused(busy_input(5))


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (snntorch.Alpha(alpha=0.9, beta=0.8), r"1 \(Alpha\) cannot be fused, allowed are Leaky"),
        (leaky(state_quant=lambda v: v), "found state_quant"),
        (snntorch.RSynaptic(alpha=0.5, beta=0.8, linear_features=6, reset_delay=False), "snnTorch 1.0 fails"),
    ],
)
def test_neurons_that_cannot_be_fused(layer: nn.Module, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        aspen.fuse(nn.Sequential(nn.Linear(5, 6), layer))


@pytest.mark.parametrize(
    ("spike_grad", "message"),
    [
        (surrogate.SSO(), "derivative is random"),
        (torch.sigmoid, "spikes are not 0 and 1"),
        (lambda place: (place >= 0).float(), "spikes are not 0 and 1"),
    ],
)
def test_surrogates_that_cannot_be_fused(spike_grad: Any, message: str) -> None:
    model = nn.Sequential(nn.Linear(5, 6), leaky(spike_grad=spike_grad, init_hidden=True))
    with pytest.raises(ModelError, match=message):
        aspen.fuse(model, busy_input(5))


def test_a_changed_reset_and_inhibition_are_refused() -> None:
    changed = leaky()
    changed.reset_mechanism = "zero"
    with pytest.raises(ModelError, match="reset_mechanism='zero' on a neuron that was built with 'subtract'"):
        aspen.fuse(nn.Sequential(nn.Linear(5, 6), changed))
    with pytest.warns(UserWarning, match="Inhibition"):
        winner = leaky(inhibition=True)
    with pytest.raises(ModelError, match="found inhibition"):
        aspen.fuse(nn.Sequential(nn.Linear(5, 6), winner))


def test_wrong_arguments() -> None:
    model = dense()
    with pytest.raises(InputError, match="batch_norm: found 'maybe'"):
        aspen.fuse(model, batch_norm="maybe")
    with pytest.raises(InputError, match="found a fused model"):
        aspen.fuse(aspen.fuse(model))
    with pytest.raises(InputError, match="fused: found DenseNet"):
        aspen.unfuse(model)
    with pytest.raises(InputError, match=r"inputs: found \(0, 4, 5\)"):
        aspen.fuse(model)(busy_input(5)[:0])
    with pytest.raises(ModelError, match="found a neuron alone"):
        aspen.fuse(leaky())


def test_parameters_and_state_are_the_models_own() -> None:
    model = dense()
    fused = aspen.fuse(model)
    assert aspen.unfuse(fused) is model
    assert [id(p) for p in fused.parameters()] == [id(p) for p in model.parameters()]
    assert list(fused.state_dict()) == list(model.state_dict())
    assert dict(fused.named_modules()).keys() == dict(model.named_modules()).keys()
    optimizer = torch.optim.SGD(fused.parameters(), 0.1)
    before = model.fc1.weight.detach().clone()
    fused(busy_input(5)).sum().backward()
    optimizer.step()
    assert not torch.equal(model.fc1.weight, before)
    other = aspen.fuse(dense())
    other.load_state_dict(fused.state_dict())
    assert torch.equal(other(busy_input(5)), model(busy_input(5)))


def test_modes_and_precisions_are_shared() -> None:
    model = dense()
    fused = aspen.fuse(model)
    assert fused.training
    fused.eval()
    assert not model.training
    assert not model.lif1.training
    model.train()
    assert fused.training
    fused.double()
    assert model.fc1.weight.dtype == torch.float64
    assert torch.equal(fused(busy_input(5).double()), model(busy_input(5).double()))


def test_the_plain_model_goes_on_where_it_was() -> None:
    """A fused pass leaves states, hooks and ``forward`` as they were."""
    model = nn.Sequential(nn.Linear(5, 6), leaky(init_hidden=True))
    twin = copy.deepcopy(model)
    for step in busy_input(5)[:4]:
        model(step), twin(step)
    aspen.fuse(model)(busy_input(5))
    assert "forward" not in vars(model[1])
    for step in busy_input(5)[4:]:
        assert torch.equal(model(step), twin(step))


def test_copies_and_pickles() -> None:
    fused = aspen.fuse(dense())
    expected = fused(busy_input(5)).detach()
    for twin in (copy.deepcopy(fused), pickle.loads(pickle.dumps(aspen.fuse(nn.Sequential(*_plain_layers()))))):
        own = {id(p) for p in aspen.unfuse(twin).parameters()}
        assert {id(p) for p in twin.parameters()} == own
        assert own.isdisjoint({id(p) for p in fused.parameters()})
    assert torch.equal(copy.deepcopy(fused)(busy_input(5)), expected)


def _plain_layers() -> list[nn.Module]:
    return [nn.Linear(5, 6), leaky(spike_grad=torch.relu, init_hidden=True)]  # closures cannot be pickled


def test_an_error_leaves_no_trace() -> None:
    model = dense()
    fused = aspen.fuse(model, busy_input(5))
    with pytest.raises(ModelError, match="mat1 and mat2"):
        fused(busy_input(4))
    assert all("forward" not in vars(module) for module in model.modules())
    assert torch.equal(fused(busy_input(5)), model(busy_input(5)))


def test_dropout_draws_for_each_step() -> None:
    model = nn.Sequential(
        nn.Linear(5, 200), leaky(init_hidden=True), nn.Dropout(0.5), nn.Linear(200, 3), leaky(init_hidden=True)
    )
    seen: list[Tensor] = []
    model[2].register_forward_hook(lambda module, inputs, output: seen.append(output[inputs[0] > 0]))
    fused = aspen.fuse(model)
    fused(torch.ones(40, 8, 5))
    share = float((seen[-1] == 0).float().mean())
    assert 0.4 < share < 0.6
    assert set(seen[-1].unique().tolist()) == {0.0, 2.0}
    fused.eval()
    make_exact(model)
    assert_steps_alike(model, busy_input(5), FLOAT)


def normed() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 6), nn.BatchNorm1d(6), leaky(init_hidden=True))


def test_batch_norm_is_refused_in_training_unless_asked_for() -> None:
    fused = aspen.fuse(normed())
    with pytest.raises(ModelError, match=r"1 \(BatchNorm1d\): found in training mode.*batch_norm='over_time'"):
        fused(busy_input(5))
    over_time = aspen.fuse(normed(), batch_norm="over_time")
    over_time(busy_input(5))
    norm = aspen.unfuse(over_time).get_submodule("1")
    currents = nn.Sequential(*list(normed())[:1])(busy_input(5).flatten(0, 1))
    torch.testing.assert_close(norm.running_mean, 0.1 * currents.mean(0))
    assert int(norm.num_batches_tracked) == 1  # type: ignore[arg-type]


def test_batch_norm_in_eval_mode_is_fused() -> None:
    model = normed().eval()
    norm: Any = model.get_submodule("1")
    norm.running_mean.fill_(0.25)
    norm.running_var.fill_(0.25 - norm.eps)
    assert_steps_alike(make_exact(model), busy_input(5), FLOAT)


def test_parameters_of_wrong_shape_or_precision_are_named() -> None:
    wide = nn.Sequential(nn.Linear(5, 6), snntorch.Leaky(beta=torch.rand(7), init_hidden=True))
    with pytest.raises(ModelError, match=r"1 \(Leaky\): found beta of shape \(7,\)"):
        aspen.fuse(wide)(busy_input(5))
    mixed = nn.Sequential(nn.Linear(5, 6), snntorch.Leaky(beta=torch.rand(6).double(), init_hidden=True))
    with pytest.raises(ModelError, match=r"found beta in torch\.float64 for an input in torch.float32"):
        aspen.fuse(mixed)(busy_input(5))


def test_other_precisions_step_by_snntorch() -> None:
    model = make_exact(nn.Sequential(nn.Linear(5, 6), leaky(init_hidden=True))).bfloat16()
    roundings = 2 * torch.finfo(torch.bfloat16).eps  # sums of the same terms in another order
    assert_steps_alike(model, busy_input(5, dtype=torch.bfloat16), roundings)

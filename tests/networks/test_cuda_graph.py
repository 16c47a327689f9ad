import logging

import pytest
import torch

from monai_unet.networks import OriginalUNet, cuda_graph
from monai_unet.networks.cuda_graph import GraphedNetwork, with_graph

IMAGE = torch.rand(2, 1, 44, 44, generator=torch.Generator().manual_seed(0))


def network():
    torch.manual_seed(0)
    return OriginalUNet(features=(2, 3, 4), dropout=0.0, normalisation="weights")


@pytest.mark.parametrize("step", ["eager", "compile"])
def test_other_steps_leave_the_network_as_it_is(step):
    net = network()
    assert with_graph(net, step, "cuda") is net


def test_on_another_device_nothing_is_recorded_and_that_is_said(caplog):
    net = network()
    assert with_graph(net, "graph", "cpu") is net
    assert "--step graph needs CUDA and does nothing on cpu" in caplog.text


def test_several_processes_are_told_by_the_first_that_nothing_is_recorded(monkeypatch, caplog):
    monkeypatch.setattr(cuda_graph.idist, "get_world_size", lambda: 2)
    net = network()
    assert with_graph(net, "graph", "cuda") is net
    monkeypatch.setattr(cuda_graph.idist, "get_rank", lambda: 1)
    assert with_graph(net, "graph", "cuda") is net
    assert caplog.messages == ["--step graph is for one process and does nothing in 2"]


@pytest.mark.parametrize("step", ["auto", "graph"])
def test_on_cuda_it_is_recorded(step):
    assert isinstance(with_graph(network(), step, "cuda:1"), GraphedNetwork)


def test_what_nobody_asked_for_is_not_said_to_do_nothing(monkeypatch, caplog):
    net = network()
    assert with_graph(net, "auto", "cpu") is net
    monkeypatch.setattr(cuda_graph.idist, "get_world_size", lambda: 2)
    assert with_graph(net, "auto", "cuda") is net
    assert not caplog.messages


def test_what_cannot_be_recorded_is_said_once_and_runs_as_it_is(monkeypatch, caplog):
    def refuse(*args, **kwargs):
        raise RuntimeError("operation not permitted when stream is capturing\nmore of it")

    monkeypatch.setattr(torch.cuda, "make_graphed_callables", refuse)
    net, image = network(), IMAGE
    graphed = GraphedNetwork(net).train()
    for _ in range(2):
        assert torch.equal(graphed(image), net(image))
    (said,) = caplog.messages
    assert said == ("no CUDA graph, training goes on without: operation not permitted when stream is capturing")


def test_only_training_batches_of_the_first_size_are_replayed(monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    recorded = []

    class Recorded(torch.nn.Module):
        def __init__(self, network):
            super().__init__()
            self.network = network

        def forward(self, image):
            recorded.append(len(image))
            return self.network(image)

    monkeypatch.setattr(torch.cuda, "make_graphed_callables", lambda network, images: Recorded(network))
    graphed = GraphedNetwork(network())
    graphed.eval()(IMAGE)
    graphed.train()(IMAGE)
    graphed(IMAGE[:1])
    graphed(IMAGE)
    graphed.eval()(IMAGE)
    assert recorded == [2, 2]
    assert "forward and backward of 2 tiles run as CUDA graphs" in caplog.text


def test_a_recording_takes_no_random_numbers_from_the_run(monkeypatch):
    def record(network, images):
        torch.rand(3)
        return network

    monkeypatch.setattr(torch.cuda, "make_graphed_callables", record)
    graphed = GraphedNetwork(network()).train()
    before = torch.get_rng_state()
    graphed(IMAGE)
    assert torch.equal(torch.get_rng_state(), before)


def test_it_shares_the_parameters_and_their_names():
    net = network()
    assert {name.removeprefix("network."): value for name, value in GraphedNetwork(net).named_parameters()}.keys() == (
        dict(net.named_parameters()).keys()
    )

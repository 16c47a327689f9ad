"""A training whose steps are replayed, with a stand-in for what only CUDA can record."""

import pytest
import torch
from bundle_runs import REPOSITORY, workflow

from monai_unet.networks import cuda_graph


def replayed(network, sample):
    """As `torch.cuda.make_graphed_callables`: the gradients of every step lie in the same place."""
    parameters = tuple(network.parameters())
    places = [torch.empty_like(each) for each in parameters]
    run = network.forward

    class Step(torch.autograd.Function):
        @staticmethod
        def forward(ctx, image, *parameters):
            with torch.enable_grad():
                ctx.found = run(image)
            return ctx.found.detach()

        @staticmethod
        def backward(ctx, gradient):
            for place, each in zip(places, torch.autograd.grad(ctx.found, parameters, gradient), strict=True):
                place.copy_(each)
            return None, *(place.detach() for place in places)

    network.forward = lambda image: Step.apply(image, *parameters)
    return network


@pytest.mark.parametrize("optimiser", [["train"], ["train", "paper"]])
def test_replayed_steps_train_as_others_do(sections, tmp_path, monkeypatch, optimiser):
    def weights(name):
        folder = str(tmp_path / name)
        values = {"features": [2, 3, 4], "tile": 100, "dataset_dir": str(sections), "device": "cpu", "clip_norm": None}
        values |= {"ckpt_dir": folder, "output_dir": folder, "epochs": 2, "precision": "float32", "step": name}
        run = workflow(REPOSITORY / "bundles" / "isbi", "train", optimiser, **values)
        run.run()
        return run.parser.get_parsed_content("network").state_dict()

    eager = weights("eager")
    monkeypatch.setattr(cuda_graph, "with_graph", lambda network, *_: cuda_graph.GraphedNetwork(network))
    monkeypatch.setattr(torch.cuda, "make_graphed_callables", lambda network, images: replayed(network, images))
    graph = weights("graph")
    assert eager.keys() == graph.keys()
    for name in eager:
        assert torch.equal(eager[name], graph[name]), name

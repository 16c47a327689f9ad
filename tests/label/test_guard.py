import json

import pytest

from monai_unet.label.guard import Refused, check_body, check_origin, check_request, machine_names

MODELS = ("isbi", "dic_hela")


def status(check, *arguments):
    with pytest.raises(Refused) as refused:
        check(*arguments)
    return refused.value.status


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:8000", "[::1]:8000", "192.168.0.7", "lab.example.org"])
def test_this_machine_is_asked_by_its_names_and_addresses(host):
    check_origin({"host": host}, {"lab.example.org"})
    check_origin({"host": host, "origin": f"http://{host}", "sec-fetch-site": "same-origin"}, {"lab.example.org"})


@pytest.mark.parametrize("host", ["", "example.org", "localhost.example.org", "127.0.0.1.example.org", "lab"])
def test_another_name_for_this_machine_is_refused(host):
    assert status(check_origin, {"host": host}, {"lab.example.org"}) == 421


@pytest.mark.parametrize("origin", ["http://example.org", "null", "http://localhost:1", "file://", ""])
def test_another_origin_is_refused(origin):
    assert status(check_origin, {"host": "localhost:8000", "origin": origin}, ()) == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_request_of_a_page_of_another_site_is_refused_and_a_link_is_not(site):
    assert status(check_origin, {"host": "localhost", "sec-fetch-site": site}, ()) == 403
    check_origin({"host": "localhost", "sec-fetch-site": site, "sec-fetch-mode": "navigate"}, ())


@pytest.mark.parametrize(
    ("method", "path", "query"),
    [
        ("GET", "/info/", ""),
        ("POST", "/infer/isbi", "image=plate 1 (A).tif&output=image"),
        ("PUT", "/datastore/label", "image=cells_ä-1.b&tag=final"),
        ("PUT", "/datastore/", "image="),
        ("HEAD", "/datastore/image", "image=a&check_sum=SHA256:00ff"),
        ("DELETE", "/train/", ""),
    ],
)
def test_what_clients_ask_for_is_offered(method, path, query):
    assert check_request(method, path, query, MODELS) is False


@pytest.mark.parametrize(
    ("method", "path", "query", "expected"),
    [
        ("POST", "/reload", "", 404),
        ("GET", "/proxy/dicom/x", "", 404),
        ("PUT", "/model/isbi", "", 404),
        ("GET", "/static/../app.py", "", 404),
        ("POST", "/train/other", "", 404),
        ("POST", "/train/isbi/x", "", 404),
        ("POST", "/activelearning/other", "", 404),
        ("POST", "/infer/isbi", "image=../x", 422),
        ("POST", "/infer/isbi", "image=%2Fetc%2Fpasswd", 422),
        ("POST", "/infer/isbi", "image=a&image=../x", 422),
        ("POST", "/infer/isbi", "image=a%00", 422),
        ("POST", "/infer/isbi", "file=a", 422),
        ("PUT", "/datastore/label", "image=a&tag=..", 422),
        ("PUT", "/datastore/label", "image=a&tag=C%3A", 422),
        ("PUT", "/session/", "uncompress=true", 422),
        ("GET", "/session/..%5C", "", 422),
    ],
)
def test_what_is_not_offered_or_no_name_is_refused(method, path, query, expected):
    assert status(check_request, method, path, query, MODELS) == expected


def test_a_training_has_a_body_to_check():
    assert check_request("POST", "/train/isbi", "", MODELS) is True


@pytest.mark.parametrize("body", [b"", b"null", b"{}", b'{"max_epochs": 3}', b'{"isbi": {"max_epochs": 3}}'])
def test_a_body_of_plain_values_is_good(body):
    check_body(body, MODELS)


@pytest.mark.parametrize(
    "body",
    [b"no json", b"[1]", b'{"max_epochs": "$1"}', b'{"isbi": {"max_epochs": 0}}', b'{"params": {"image": "/x"}}'],
)
def test_a_body_of_other_values_is_refused(body):
    assert status(check_body, body, MODELS) == 422


def test_on_all_addresses_it_has_the_names_of_the_machine(monkeypatch):
    monkeypatch.setattr("socket.gethostname", lambda: "Lab")
    monkeypatch.setattr("socket.getfqdn", lambda: "lab.example.org")
    assert machine_names("0.0.0.0") == {"0.0.0.0", "lab", "lab.example.org"}
    assert machine_names("127.0.0.1") == {"127.0.0.1"}


def test_what_3d_slicer_sends_back_of_the_servers_own_choices_is_good():
    choices = {
        "device": ["cpu"],
        "pretrained": True,
        "max_epochs": 50,
        "val_split": 0.2,
        "multi_gpu": True,
        "gpus": "all",
        "tracking": ["None", "mlflow"],
        "tracking_uri": "file:///home/me/mlruns",
        "tracking_experiment_name": "",
        "model_filename": ["model.pt"],
        "client_id": "user-xyz",
    }
    check_body(json.dumps(choices).encode(), MODELS)

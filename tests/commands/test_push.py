"""`--push`: what is refused before any work, and what a hub on this machine receives."""

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from jaxsim import pretrained
from jaxsim.__main__ import main
from jaxsim.commands.outputs import hub

huggingface_hub = pytest.importorskip("huggingface_hub")
constants = pytest.importorskip("huggingface_hub.constants")
FILES = {"README.md": "---\nlicense: mit\n---\n# tuned\n", "config.json": "{}", "jaxsim.json": "{}"}


class Hub(BaseHTTPRequestHandler):
    """A hub of one user, `me`, who may have repositories."""

    repositories, asked, commits, status = {}, [], [], 200

    def log_message(self, *_):
        """Nothing is printed."""

    def answered(self, tree, status=200, **headers):
        body = json.dumps(tree).encode()
        self.send_response(status)
        headers |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.asked.append(self.path)
        name = self.path.removeprefix("/api/models/").removesuffix("/revision/main")
        if self.status != 200:
            self.answered({"error": "refused"}, self.status)
        elif self.path.startswith("/api/whoami"):
            self.answered({"name": "me", "type": "user", "auth": {}})
        elif name in self.repositories:
            about = {"private": self.repositories[name], "tags": [], "siblings": []}
            self.answered({"id": name, "modelId": name, "sha": "0" * 40, **about})
        else:
            self.answered({"error": "not found"}, 404, X_Error_Code="RepoNotFound")

    def do_POST(self):
        self.asked.append(self.path)
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if self.path == "/api/repos/create":
            about = json.loads(body)
            name = f"{about.get('organization') or 'me'}/{about['name']}"
            private = about.get("private", about.get("visibility") == "private")
            self.repositories.setdefault(name, private)
            self.answered({"url": f"{constants.ENDPOINT}/{name}", "name": name})
        elif "/preupload/" in self.path:
            files = [one["path"] for one in json.loads(body)["files"]]
            regular = {"uploadMode": "regular", "shouldIgnore": False, "oid": None}
            self.answered({"files": [{"path": path, **regular} for path in files]})
        elif "/commit/" in self.path:
            self.commits.append([json.loads(line) for line in body.splitlines()])
            name = self.path.removeprefix("/api/models/").split("/commit/")[0]
            address = f"{constants.ENDPOINT}/{name}/commit/{'0' * 40}"
            self.answered({"commitUrl": address, "commitOid": "0" * 40, "success": True})
        else:
            self.answered({"errors": [], "warnings": []})


@pytest.fixture
def server(monkeypatch, tmp_path):
    """A hub on this machine, and a token for it."""
    monkeypatch.setattr(Hub, "repositories", {})
    monkeypatch.setattr(Hub, "asked", [])
    monkeypatch.setattr(Hub, "commits", [])
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        address = f"http://127.0.0.1:{running.server_port}"
        monkeypatch.setattr(constants, "ENDPOINT", address)
        monkeypatch.setenv("HF_TOKEN", "hf_test")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield Hub
        running.shutdown()
        thread.join()


@pytest.fixture
def folder(tmp_path):
    for name, text in FILES.items():
        (tmp_path / "tuned").mkdir(exist_ok=True)
        (tmp_path / "tuned" / name).write_text(text)
    return tmp_path / "tuned"


def test_a_folder_is_uploaded_as_a_private_repository(server, folder):
    name = hub.checked("tuned", public=False)
    assert name == "me/tuned"
    assert not any("repos/create" in path for path in server.asked)  # before any work
    address = hub.push(folder, name, public=False, message="2 steps on pairs.jsonl")
    assert address.endswith("/me/tuned")
    assert server.repositories == {"me/tuned": True}
    (header, *files), *rest = server.commits
    assert not rest
    assert header["value"]["summary"] == "2 steps on pairs.jsonl"
    found = {
        one["value"]["path"]: base64.b64decode(one["value"]["content"]).decode() for one in files
    }
    assert found == {name: text for name, text in FILES.items() if name != "jaxsim.json"}
    # Again: the repository is there, and another commit is made.
    assert hub.checked("me/tuned", public=False) == "me/tuned"
    hub.push(folder, name, public=False, message="again")
    assert len(server.commits) == 2


def test_public_is_asked_for(server, folder):
    assert hub.checked("org/tuned", public=True) == "org/tuned"
    hub.push(folder, "org/tuned", public=True, message="all")
    assert server.repositories == {"org/tuned": False}
    with pytest.raises(ValueError, match="org/tuned: the repository is there and is public: give"):
        hub.checked("org/tuned", public=False)
    server.repositories["me/tuned"] = True
    with pytest.raises(ValueError, match="--public: me/tuned is on the hub and is private"):
        hub.checked("me/tuned", public=True)


@pytest.mark.parametrize(
    ("status", "kind", "said"),
    [
        (401, ValueError, r"--push tuned: the hub does not take the token \(401\): log in with"),
        (500, OSError, "--push tuned: the hub answers 500: "),
    ],
)
def test_what_the_hub_refuses_is_one_sentence(server, monkeypatch, status, kind, said):
    monkeypatch.setattr(Hub, "status", status)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with pytest.raises(kind, match=said):
        hub.checked("tuned", public=False)


def test_a_hub_that_is_not_there_is_one_sentence(monkeypatch):
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_TOKEN", "hf_test")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with pytest.raises(OSError, match=r"--push tuned: the hub is not reached \(ConnectError: "):
        hub.checked("tuned", public=False)


REFUSED = {
    "no token": (["--push", "me/tuned"], "--push me/tuned needs a token of the hub, and there is"),
    "no name": (["--push", "a/b/c"], "--push must be the name of a repository, OWNER/NAME: "),
    "public alone": (["--public"], "--public has no effect without --push"),
    "an adapter of a folder": (
        ["--push", "tuned", "--lora-rank", 2],
        "--push of an adapter needs a --model by its name on the hub, got the folder",
    ),
    "a field of no card": (["--card", "size=3"], "--card must be NAME=VALUE with a name of base"),
    "a field without a value": (["--card", "license="], "--card must be NAME=VALUE"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_pushed_is_refused_before_any_work(
    case, tiny, table, tmp_path, capsys, monkeypatch
):
    def refused(*_, **__):
        raise AssertionError("a model was loaded")

    monkeypatch.setattr(pretrained, "load", refused)
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: None)
    words, said = REFUSED[case]
    command = ["train", "--model", tiny, "--pairs", table("anchor", "positive"), *words]
    assert main([str(word) for word in [*command, "--out", tmp_path / "out"]]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(f"error: {said}")
    assert not (tmp_path / "out").exists()

import json
import ssl
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import trustme
from proxy import Proxy, running_proxy

from recserve_client import ChannelConfig, RecommenderClient, Tls, UnavailableError

pytestmark = pytest.mark.long


@dataclass(frozen=True)
class Secured:
    proxy: Proxy
    authority: bytes
    """PEM of whom clients of Envoy trust."""


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    folder = tmp_path_factory.mktemp("envoy-tls")
    outside, inside = trustme.CA(), trustme.CA()
    (folder / "tls").mkdir()
    edge, server = outside.issue_cert("localhost"), inside.issue_cert("recserve")
    edge.private_key_pem.write_to_path(folder / "tls" / "tls.key")
    edge.cert_chain_pems[0].write_to_path(folder / "tls" / "tls.crt")
    inside.cert_pem.write_to_path(folder / "tls" / "ca.crt")
    server.private_key_pem.write_to_path(folder / "server.key")
    (folder / "server.key").chmod(0o600)  # or the server warns
    server.cert_chain_pems[0].write_to_path(folder / "server.crt")
    with running_proxy(folder, (folder / "server.crt", folder / "server.key")) as proxy:
        yield Secured(proxy, outside.cert_pem.bytes())


def test_the_sdk_gets_through_by_tls_on_both_sides(secured: Secured) -> None:
    tls = Tls(root_certificates=secured.authority, server_name="localhost")
    config = ChannelConfig(tls=tls, max_attempts=1)
    with RecommenderClient(secured.proxy.address, config=config, timeout_s=20.0) as client:
        assert client.recommend("u0", k=1).items[0].item_id == "i3"


def test_json_gets_through_by_https(secured: Secured) -> None:
    _, _, port = secured.proxy.address.rpartition(":")
    url = f"https://localhost:{port}/recserve.v1.RecommendationService/Recommend"
    request = urllib.request.Request(
        url, b'{"user_id": "u0"}', {"content-type": "application/json"}
    )
    context = ssl.create_default_context(cadata=secured.authority.decode())
    with urllib.request.urlopen(request, timeout=30, context=context) as answer:
        assert json.load(answer)["items"][0]["item_id"] == "i3"


def test_plain_text_gets_nothing(secured: Secured) -> None:
    config = ChannelConfig(max_attempts=1)
    with (
        RecommenderClient(secured.proxy.address, config=config, timeout_s=10.0) as client,
        pytest.raises(UnavailableError),
    ):
        client.recommend("u0")

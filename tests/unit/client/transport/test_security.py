"""TLS and mTLS with real certificates on loopback."""

import grpc
import pytest

from recserve_client import (
    AsyncRecommenderClient,
    BearerToken,
    ChannelConfig,
    RecommenderClient,
    Tls,
    UnavailableError,
)

trustme = pytest.importorskip("trustme")

OURS, THEIRS = trustme.CA(), trustme.CA()
SERVER = OURS.issue_cert("localhost", "127.0.0.1")


def pem(authority: "trustme.CA") -> bytes:
    return authority.cert_pem.bytes()


def server_credentials(*, asks_for_certificates: bool = False) -> grpc.ServerCredentials:
    pair = (SERVER.private_key_pem.bytes(), SERVER.cert_chain_pems[0].bytes())
    roots = pem(OURS) if asks_for_certificates else None
    return grpc.ssl_server_credentials([pair], roots, asks_for_certificates)


def own_certificate(authority: "trustme.CA") -> dict[str, bytes]:
    issued = authority.issue_cert("client.example.org")
    return {
        "certificate_chain": issued.cert_chain_pems[0].bytes(),
        "private_key": issued.private_key_pem.bytes(),
    }


def configured(tls: Tls, **fields) -> ChannelConfig:
    return ChannelConfig(tls=tls, max_attempts=1, **fields)


def test_a_trusted_server_is_asked(start_replica) -> None:
    replica = start_replica(server_credentials())
    config = configured(Tls(root_certificates=pem(OURS)), bearer_token=BearerToken("secret"))

    with RecommenderClient(replica.target, config=config, timeout_s=30.0) as client:
        assert client.recommend("42").model_version == 3

    [call] = replica.calls
    assert dict(call.invocation_metadata())["authorization"] == "Bearer secret"


async def test_a_trusted_server_is_asked_by_asyncio_too(start_replica) -> None:
    replica = start_replica(server_credentials())
    config = configured(Tls(root_certificates=pem(OURS)))

    async with AsyncRecommenderClient(replica.target, config=config, timeout_s=30.0) as client:
        assert (await client.recommend("42")).model_version == 3


def test_a_server_of_another_authority_is_not_asked(start_replica) -> None:
    replica = start_replica(server_credentials())
    config = configured(Tls(root_certificates=pem(THEIRS)))

    with (
        RecommenderClient(replica.target, config=config, timeout_s=30.0) as client,
        pytest.raises(UnavailableError),
    ):
        client.recommend("42")

    assert replica.calls == []


def test_a_server_of_another_name_is_only_asked_by_that_name(start_replica) -> None:
    replica = start_replica(server_credentials())
    target = f"ipv4:127.0.0.1:{replica.port}"

    for name, is_answered in (("localhost", True), ("elsewhere", False)):
        config = configured(Tls(root_certificates=pem(OURS), server_name=name))
        with RecommenderClient(target, config=config, timeout_s=30.0) as client:
            if is_answered:
                assert client.recommend("42").model_version == 3
            else:
                with pytest.raises(UnavailableError):
                    client.recommend("42")


@pytest.mark.parametrize(
    ("certificate", "is_answered"),
    [(own_certificate(OURS), True), (own_certificate(THEIRS), False), ({}, False)],
    ids=["ours", "another authority's", "none"],
)
def test_a_server_that_asks_for_certificates_gets_the_clients_own(
    start_replica, certificate, is_answered
) -> None:
    replica = start_replica(server_credentials(asks_for_certificates=True))
    config = configured(Tls(root_certificates=pem(OURS), **certificate))

    with RecommenderClient(replica.target, config=config, timeout_s=30.0) as client:
        if is_answered:
            assert client.recommend("42").model_version == 3
        else:
            with pytest.raises(UnavailableError):
                client.recommend("42")


def test_plain_text_does_not_reach_a_secured_server(start_replica) -> None:
    replica = start_replica(server_credentials())
    config = ChannelConfig(max_attempts=1)

    with (
        RecommenderClient(replica.target, config=config, timeout_s=30.0) as client,
        pytest.raises(UnavailableError),
    ):
        client.recommend("42")

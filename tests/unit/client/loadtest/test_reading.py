from pathlib import Path

import pytest

from recserve_client import Filter
from recserve_client._cli.access import TlsFiles
from recserve_client._cli.security import read_access
from recserve_client.loadtest import host
from recserve_client.loadtest.conditions import Bound, Objective
from recserve_client.loadtest.flags import compare_parser, loadtest_parser, report_parser
from recserve_client.loadtest.plan import Arrivals, ClosedLoop, Endpoint, OpenLoop, PlanError
from recserve_client.loadtest.reading import read_mix, read_plan
from recserve_client.loadtest.session import LoadPlan
from recserve_client.loadtest.traffic.mix import Mix, Span


def plan_of(*argv: str, times_s: tuple[float, ...] = (), **environ: str) -> LoadPlan:
    flags = loadtest_parser(environ).parse_args(argv)
    return read_plan(flags, times_s, read_access(flags))


def endpoint_of(*argv: str, **environ: str) -> Endpoint:
    return plan_of("--rate", "1", *argv, **environ).endpoint


def mix_of(*argv: str) -> Mix:
    return read_mix(loadtest_parser({}).parse_args(argv))


def test_a_rate_is_an_open_loop() -> None:
    plan = plan_of("--rate", "500")

    [stage] = plan.stages
    assert stage.pressure == OpenLoop(rate_per_s=500.0, arrivals=Arrivals.POISSON)
    assert (stage.seconds, stage.warmup_s) == (30, 2)
    assert (plan.objective, plan.conditions, plan.seed, plan.until_stable) == (None, (), 1, False)


def test_rates_and_ramps_follow_one_another() -> None:
    plan = plan_of(
        *("--rate", "100,1.5k,1k..2k", "--arrivals", "constant", "--duration", "10s"),
        *("--warmup", "0", "--seed", "7", "--until-stable", "--processes", "3"),
    )

    assert [each.pressure.label for each in plan.stages] == ["100/s", "1500/s", "1000..2000/s"]
    assert {each.pressure.arrivals for each in plan.stages} == {Arrivals.CONSTANT}
    assert {(each.seconds, each.warmup_s) for each in plan.stages} == {(10.0, 0.0)}
    assert (plan.seed, plan.until_stable, plan.processes) == (7, True, 3)


def test_numbers_of_calls_are_closed_loops() -> None:
    plan = plan_of("--concurrency", "1, 8,128")
    assert [each.pressure for each in plan.stages] == [
        ClosedLoop(concurrency=count) for count in (1, 8, 128)
    ]


@pytest.mark.parametrize(
    ("rate", "span"), [((), (50.0, 100_000.0)), (("--rate", "100..2k"), (100.0, 2000.0))]
)
def test_a_limit_is_a_search(rate: tuple[str, ...], span: tuple[float, float]) -> None:
    plan = plan_of("--slo", "p99=20ms", "--slo", "p50=5ms", "--max-errors", "1%", *rate)

    assert plan.objective == Objective(
        (Bound("p99", "<=", 20.0), Bound("p50", "<=", 5.0), Bound("errors", "<=", 0.01))
    )
    assert (plan.search.low_per_s, plan.search.high_per_s) == span
    assert len(plan.stages) == 1


def test_a_recording_takes_its_own_time() -> None:
    plan = plan_of("--duration", "30s", times_s=(0.0, 1.0, 4.9))

    [stage] = plan.stages
    assert (stage.warmup_s, stage.pressure.arrivals) == (0, Arrivals.RECORDED)
    assert plan.times_s[-1] < stage.seconds == pytest.approx(5)
    assert stage.pressure.rate_per_s == pytest.approx(3 / 5)


def test_a_recording_of_one_call_is_a_stage() -> None:
    [stage] = plan_of(times_s=(0.0,)).stages
    assert stage.seconds == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("argv", "fastest"),
    [
        (("--rate", "8000"), 1),
        (("--rate", "100,8001"), 2),
        (("--rate", "100..16001"), 3),
        (("--concurrency", "10000"), 1),
        (("--slo", "p99=20ms", "--rate", "10..8001"), 2),
        (("--slo", "p99=20ms"), 13),
        (("--rate", "1000k"), 64),
    ],
)
def test_there_are_as_many_processes_as_the_rate_needs_and_cores_allow(
    argv: tuple[str, ...], fastest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "cores", lambda: 100)
    assert plan_of(*argv).processes == fastest
    monkeypatch.setattr(host, "cores", lambda: 2)
    assert plan_of(*argv).processes == min(2, fastest)


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        ((), "^nothing says how calls leave, must be one of --rate 500"),
        (("--rate", ""), "^nothing says how calls leave"),
        (
            ("--rate", "1", "--concurrency", "1"),
            "^--rate and --concurrency are given, must be one of them$",
        ),
        (("--slo", "p99=1s", "--concurrency", "1"), "^--slo searches a rate, must be without"),
        (("--slo", "p99=1s", "--rate", "5"), r"^--rate is '5', with --slo it must be LOW\.\.HIGH$"),
        (("--slo", "p99=1s", "--rate", "5..4"), "^a search is from 5 to 4"),
        (("--slo", "p99=1s", "--rate", "1..2000k"), "at most 1000000 per second$"),
        (("--slo", "p99=20"), "^'20' is not a latency"),
        (("--slo", "p99=1s", "--max-errors", "5"), "^'5' is 500%"),
        (("--rate", "fast"), "^'fast' is not a rate"),
        (("--rate", "0"), "^a rate is 0, must be above 0"),
        (("--rate", "1,"), "^'' is not a rate"),
        (("--rate", "1.."), "^'' is not a rate"),
        (("--rate", "1001k"), "at most 1000000 per second$"),
        (("--concurrency", "0"), "^concurrency is 0, must be from 1 to 100000$"),
        (("--concurrency", "-1"), "^'-1' is no number of calls under way, must be such as 32$"),
        (("--concurrency", "1.5"), r"^'1\.5' is no number of calls"),
        (("--rate", "1", "--duration", "0.09"), r"^duration is 0\.09, must be from 0\.1 to 86400"),
        (("--rate", "1", "--duration", "25h"), "^duration is 90000"),
        (("--rate", "1", "--warmup", "61m"), "^warmup is 3660, must be from 0 to 3600"),
        (("--rate", "1", "--timeout", "0.5ms"), r"^timeout is 0\.0005, must be from 0\.001"),
        (("--rate", "1", "--connections", "0"), "^connections is 0, must be from 1 to 1000$"),
        (("--rate", "1", "--processes", "0"), "^--processes is 0, must be from 1 to 64$"),
        (("--rate", "1", "--processes", "65"), "^--processes is 65"),
        (("--rate", "1", "--fail-if", "p99=1s"), "^'p99=1s' has ="),
    ],
)
def test_a_plan_that_is_none_is_told(argv: tuple[str, ...], told: str) -> None:
    with pytest.raises(PlanError, match=told):
        plan_of(*argv)


@pytest.mark.parametrize(
    ("target", "place"),
    [
        ("localhost:8500", ("localhost", 8500)),
        ("10.0.0.1:1", ("10.0.0.1", 1)),
        ("[::1]:8500", ("::1", 8500)),
        ("dns:///films.internal:65535", ("films.internal", 65535)),
    ],
)
def test_a_target_is_one_place(target: str, place: tuple[str, int]) -> None:
    endpoint = endpoint_of("--target", target)
    assert (endpoint.host, endpoint.port) == place


@pytest.mark.parametrize(
    "target",
    [
        "localhost",
        "localhost:",
        ":8500",
        "localhost:http",
        "::1:8500",
        "unix:/tmp/socket",
        "ipv4:10.0.0.1:8500",
        "dns://8.8.8.8/films:8500",
        "10.0.0.1:8500,10.0.0.2:8500",
        "localhost:99999",
        "http://localhost:8500",
        "",
    ],
)
def test_a_target_that_is_not_one_place_is_told(target: str) -> None:
    with pytest.raises(PlanError, match=r"^(--target|target|port) is "):
        endpoint_of("--target", target)


def test_a_server_is_asked_as_the_flags_say() -> None:
    usual = endpoint_of(RECSERVE_TARGET="films:1")
    said = endpoint_of("--target", "a:2", "--timeout", "0", "--connections", "3")

    assert (usual.host, usual.port, usual.timeout_s) == ("films", 1, 1.0)
    assert (usual.tls, usual.metadata) == (None, ())
    assert (said.host, said.port, said.timeout_s, said.connections) == ("a", 2, None, 3)


def test_a_secured_server_is_asked_as_the_flags_say() -> None:
    flags = ("--ca", "ca.pem", "--cert", "own.pem", "--key", "own.key", "--server-name", "films")
    found = endpoint_of(*flags, RECSERVE_TOKEN="s3cret")

    assert found.tls == TlsFiles(
        roots=Path("ca.pem"),
        certificate=Path("own.pem"),
        key=Path("own.key"),
        server_name="films",
    )
    assert found.server_name == "films"
    assert found.metadata == (("authorization", "Bearer s3cret"),)
    assert endpoint_of("--tls").tls == TlsFiles()


def test_a_mix_is_plain_unless_said() -> None:
    assert mix_of() == Mix()
    assert str(mix_of()) == "zipf 1; k 10"


def test_a_mix_is_read() -> None:
    mix = mix_of(
        *("--zipf", "1.2", "--unknown", "5%", "-k", "10=80%,50=20%"),
        *("--history", "20%:5..20", "--exclude", "10%:7"),
        *("--filter", "genres any Drama", "--filter-share", "30%", "--batch", "5%:32"),
    )
    assert mix == Mix(
        zipf=1.2,
        unknown_share=0.05,
        ks=((10, 0.8), (50, 0.2)),
        history_share=0.2,
        history_length=Span(5, 20),
        exclusion_share=0.1,
        exclusion_count=Span(7, 7),
        filter_share=0.3,
        filters=(Filter.any_of("genres", ["Drama"]),),
        batch_share=0.05,
        batch_size=32,
    )
    assert str(mix) == (
        "zipf 1.2; k 10=0.8,50=0.2; 0.05 unknown users; 0.2 with a history of 5..20; "
        "0.1 with exclusions: 7..7; 0.3 with Filter.any_of('genres', ('Drama',)); "
        "0.05 batches of 32 users"
    )


def test_shares_without_numbers_have_the_usual_ones() -> None:
    mix = mix_of("--history", "20%", "--exclude", "0.1", "--batch", "5%")
    assert (mix.history_length, mix.exclusion_count, mix.batch_size) == ((1, 20), (1, 20), 64)


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (("--zipf", "5.01"), r"^zipf is 5\.01, must be from 0 to 5$"),
        (("--zipf", "nan"), "^zipf is nan"),
        (("--unknown", "101%"), "^'101%' is 101%, must be from 0% to 100%$"),
        (("-k", "0"), "^k is 0 of weight 1, must be from 1"),
        (("-k", "10=0"), "^k is 10 of weight 0"),
        (("-k", "ten"), "^-k is 'ten', must be a number, or numbers with shares: 10=80%,50=20%$"),
        (("-k", "10="), "^'' is not a share"),
        (("--history", ""), r"^'' is not SHARE or SHARE:N\.\.N, such as 20%:5\.\.20$"),
        (("--history", "20%:"), "is not SHARE"),
        (("--history", "20%:0..5"), r"^history length is 0\.\.5, must lie from 1 to 1000"),
        (("--history", "20%:6..5"), r"^history length is 6\.\.5"),
        (("--exclude", "20%:1..1001"), r"^exclusion count is 1\.\.1001"),
        (("--batch", "5%:1..2"), r"^--batch is '5%:1\.\.2', must be SHARE:N with one number$"),
        (("--batch", "5%:257"), "^batch size is 257, must be from 1 to 256$"),
    ],
)
def test_a_mix_that_is_none_is_told(argv: tuple[str, ...], told: str) -> None:
    with pytest.raises(PlanError, match=told):
        mix_of(*argv)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"unknown_share": 1.01}, r"^unknown share is 1\.01, must be from 0 to 1"),
        ({"batch_share": -0.01}, "^batch share is"),
        ({"filter_share": 0.5}, "^filter share is given, but there is no filter$"),
    ],
)
def test_a_mix_is_checked_however_it_is_made(changes: dict[str, float], told: str) -> None:
    with pytest.raises(PlanError, match=told):
        Mix(**changes)


@pytest.mark.parametrize(
    "parser", [loadtest_parser({}), compare_parser(), report_parser()], ids=lambda each: each.prog
)
def test_help_says_each_default_and_fits_a_terminal(
    parser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = parser.format_help()

    assert max(map(len, text.splitlines())) < 80
    for action in parser._actions:
        assert action.help
        if action.option_strings and action.dest != "help":
            assert "(default: " in action.help, action.option_strings
    assert "exit status: 0 success, 1 failure" in text

from alexnet.arch import NETS


def test_the_table_names_every_net_with_its_whole_source(run) -> None:
    status, shown, errors = run("nets")
    assert (status, errors) == (0, "")
    for spec in NETS.values():
        assert spec.name in shown
        assert spec.source in shown
        assert spec.published_error in shown


def test_a_terminal_of_80_columns_shows_every_word_whole(run, monkeypatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    shown = run("nets").stdout
    assert max(map(len, shown.splitlines())) <= 80
    for spec in NETS.values():
        assert {spec.name, *spec.source.split(), *spec.published_error.split()} <= set(shown.split())
    assert len(shown.splitlines()) < 60


def test_json_has_one_object_a_net(run) -> None:
    nets = run("nets", "--json").json["nets"]
    assert [net["name"] for net in nets] == list(NETS)
    assert nets[0] == {
        "name": "krizhevsky-145",
        "source": NETS["krizhevsky-145"].source,
        "params": 60_965_224,
        "macs": 724_406_816,
        "neurons": 659_272,
        "published_error": NETS["krizhevsky-145"].published_error,
    }

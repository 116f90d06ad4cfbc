"""What NVML says of a GPU."""

from __future__ import annotations

import pytest

from tests.probe.world import Report, finding, judged, on_gpu, recorded, report_on, severities, told


def test_what_the_hardware_does_not_offer_is_no_failure_and_is_told() -> None:
    simulation = recorded("healthy")
    gpu, after = simulation["steps"]["nvml"]["gpus"][0], simulation["steps"]["after"]["gpus"][0]
    kept = {"index", "uuid", "name", "migs", "errors", "unavailable"}
    for facts in (gpu, after):
        facts.update({key: None for key in facts if key not in kept})
    load = simulation["steps"]["speed"]["gpus"][0]["load"]
    load.update({key: None for key in load if key != "samples"})
    simulation["steps"]["after"]["xids"] = simulation["steps"]["nvml"]["xidsBefore"] = None
    report = judged(simulation)
    assert severities(report) == {"memory.alone": "warn"}, "who else uses the GPU is what a whole one promises"
    readings = ("ecc", "pages", "rows", "computeMode", "pcie", "nvlink", "throttle", "clock", "temperature", "xid")
    for name in readings:
        assert "not available" in finding(report, f"health.{name}")["message"]
    assert set(report["coverage"]["notJudged"]) >= {f"health.{name}" for name in readings}


@pytest.mark.parametrize(
    ("facts", "findings"),
    [
        ({"eccUncorrected": 1}, {"health.ecc": "fail"}),
        ({"eccUncorrectedEver": 7}, {}),
        ({"retiredPages": 10, "retiredPagesPending": 0}, {}),
        ({"retiredPages": 11, "retiredPagesPending": 0}, {"health.pages": "warn"}),
        ({"retiredPages": 1, "retiredPagesPending": 1}, {"health.pages": "fail"}),
        ({"rows": {"pending": 1}}, {"health.rows": "fail"}),
        ({"rows": {"failed": 1}}, {"health.rows": "fail"}),
        ({"rows": {"corrected": 3, "uncorrected": 2}}, {}),
        ({"temperatureC": 83}, {}),
        ({"temperatureC": 84}, {"health.temperature": "warn"}),
        ({"temperatureC": 89}, {"health.temperature": "fail"}),
        ({"computeMode": 2}, {"health.computeMode": "fail"}),
        ({"computeMode": 3}, {}),
        ({"clockReasons": 0x8}, {"health.throttle": "fail"}),
        ({"clockReasons": 0x20}, {"health.throttle": "warn"}),
        ({"clockReasons": 0x4}, {}),
        ({"errors": {"EccMode": "GPU is lost"}}, {"health.nvml": "fail"}),
        ({"nvlinks": {"active": 17, "inactive": 1}}, {"health.nvlink": "warn"}),
        ({"nvlinks": {"active": 0, "inactive": 18}}, {}),
        ({"fabric": {"state": 2, "status": 0}}, {"health.fabric": "warn"}),
        ({"fabric": {"state": 3, "status": 0}}, {}),
    ],
)
def test_a_health_reading_gets_its_severity(facts: Report, findings: dict[str, str]) -> None:
    assert severities(report_on(steps=on_gpu(**facts))) == findings


@pytest.mark.parametrize(
    ("name", "mode", "pipe", "severity"),
    [
        ("healthy", 3, None, "info"),
        ("fraction", 0, None, "info"),
        ("fraction", 3, None, "fail"),
        ("replica", 1, None, "fail"),
        # the one process is MPS' own
        ("replica", 3, "/mps", "info"),
    ],
)
def test_a_gpu_for_one_process_is_a_fault_where_several_pods_share_it(
    name: str, mode: int, pipe: str | None, severity: str
) -> None:
    report = report_on(name, {**on_gpu(computeMode=mode), **told(mps=pipe)})
    assert finding(report, "health.computeMode")["severity"] == severity


def test_links_count_whether_they_are_up_or_down() -> None:
    found = finding(report_on(steps=on_gpu(nvlinks={"active": 17, "inactive": 1})), "health.nvlink")
    assert (found["value"], found["bound"]) == (17, 18)


def test_links_that_are_all_down_are_a_warning_where_several_gpus_need_them() -> None:
    links = {"nvml": {"gpus": {"1": {"nvlinks": {"active": 0, "inactive": 18}}}}}
    assert severities(report_on("two-gpus", links)) == {"health.nvlink": "warn"}


@pytest.mark.parametrize(("samples", "severity"), [(1, "warn"), (12, "warn"), (13, "fail")])
def test_a_hardware_slowdown_fails_when_it_lasts(samples: int, severity: str) -> None:
    load = {"speed": {"gpus": {"0": {"load": {"samples": 25, "clockReasons": {"8": samples}}}}}}
    assert severities(report_on(steps=load)) == {"health.throttle": severity}


def test_a_slower_link_under_load_than_the_board_can_do_is_a_warning() -> None:
    load = {"speed": {"gpus": {"0": {"load": {"pcieWidth": 8}}}}}
    report = report_on(steps=load)
    assert severities(report) == {"health.pcie": "warn"}
    assert finding(report, "health.pcie")["value"] == [5, 8]


def test_a_low_clock_under_load_is_a_warning() -> None:
    assert severities(report_on(steps={"speed": {"gpus": {"0": {"load": {"smClockMhz": 989}}}}})) == {
        "health.clock": "warn"
    }


def test_an_xid_under_our_own_work_fails_and_an_old_one_is_a_warning() -> None:
    assert severities(report_on(steps={"after": {"xids": [79]}})) == {"health.xid": "fail"}
    shared = report_on("fraction", {"after": {"xids": [31]}})
    assert severities(shared) == {"health.xid": "warn"}, "a neighbour's fault shows here, too"
    report = report_on(steps={"nvml": {"xidsBefore": [31]}})
    assert severities(report) == {"health.xid": "warn"}
    assert finding(report, "health.xid")["value"] == [31]


def test_an_error_of_nvml_after_the_work_fails() -> None:
    steps = {"after": {"gpus": {"0": {"errors": {"MemoryInfo": "GPU requires reset"}}}}}
    assert severities(report_on(steps=steps)) == {"health.nvml": "fail"}


def test_ecc_that_is_on_and_gives_no_count_is_not_called_free_of_errors() -> None:
    report = report_on(steps=on_gpu(ecc=True, eccUncorrected=None))
    assert finding(report, "health.ecc")["value"] is None
    assert "not available" in finding(report, "health.ecc")["message"]
    assert "health.ecc" in report["coverage"]["notJudged"]


def test_pages_that_are_pending_fail_even_where_their_number_is_not_known() -> None:
    report = report_on(steps=on_gpu(retiredPages=None, retiredPagesPending=1))
    assert severities(report) == {"health.pages": "fail"}


def test_a_gpu_that_nvml_lists_and_does_not_let_be_read_is_no_pass() -> None:
    simulation = recorded("two-gpus")
    lost: Report = {"uuid": None, "name": None, "unavailable": ["HandleByIndex"], "errors": {}}
    simulation["steps"]["nvml"]["gpus"][1].update(lost)
    report = judged(simulation)
    assert severities(report)["health.nvml"] == "unknown"
    assert report["verdict"] != "pass"

"""Settings in, server out: `python -m modelkeep_server`, which `modelkeep serve` becomes."""

import argparse
import sys
from collections.abc import Sequence

from modelkeep_server import app, serving
from modelkeep_server.edge.allocator import keep_memory
from modelkeep_server.edge.metrics import Metrics
from modelkeep_server.settings import CONFIG, SETTINGS, Address, SettingError, Settings, load
from modelkeep_server.values.start import StartError
from modelkeep_server.workers.supervisor import supervise

EXIT_CANT_START = 1
EXIT_WRONG_SETTING = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until told to stop; answer the exit code."""
    keep_memory()
    try:
        settings = load(_flags(arguments))
        return _serve(settings)
    except SettingError as problem:
        sys.stderr.write(f"modelkeep serve: {problem}\n")
        return EXIT_WRONG_SETTING
    except StartError as problem:
        sys.stderr.write(f"modelkeep serve: {problem}\n")
        return EXIT_CANT_START
    except KeyboardInterrupt:
        return 130


def _serve(settings: Settings) -> int:
    figures = Metrics(app.version())
    log = serving.open_log(settings, figures.dropped_log_lines.inc)

    def ready(address: Address, metrics: Address | None) -> None:
        if log.is_json:
            log.logger.info(
                "serving",
                address=str(address),
                metrics=str(metrics or "off"),
                data=str(settings.data.absolute()),
                blobs=str(settings.blobs or "local"),
                workers=settings.workers,
                open=True,
            )
        else:
            log.lines.write_line(_greeting(settings, address, metrics))

    if settings.workers > 1:
        return supervise(settings, log.logger, ready)
    return serving.serve(app.build(settings, log.logger, figures), log, ready)


def _greeting(settings: Settings, address: Address, metrics: Address | None) -> str:
    several = settings.workers > 1
    workers = f"  workers  {settings.workers}\n" if several else ""
    default = str(address) == "127.0.0.1:50051"
    url = "" if default else f"MODELKEEP_URL={address} "
    return f"""modelkeep {app.version()} is serving.
  address  {address}
  data     {settings.data.absolute()}
  blobs    {settings.blobs or "in the data folder"}
{workers}  metrics  {f"http://{metrics}/metrics" if metrics else "off"}
  access   open: anyone who can reach it may do anything, and no name is verified

Next, in another terminal:
  {url}modelkeep push my-model ./a-file-or-folder
Ctrl-C stops the server."""


def _flags(arguments: Sequence[str] | None) -> dict[str, str]:
    parser = argparse.ArgumentParser(
        prog="modelkeep serve", description="Serve a registry.", allow_abbrev=False
    )
    parser.add_argument(f"--{CONFIG}", metavar="FILE", help="A TOML file with settings.")
    for name, setting in SETTINGS.items():
        is_switch = setting.default == "false"
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            metavar="VALUE",
            nargs="?" if is_switch else None,
            const="true" if is_switch else None,
            help=f"{setting.help} Default: {setting.default}.",
        )
    parsed = vars(parser.parse_args(arguments))
    return {name: value for name, value in parsed.items() if value is not None}


if __name__ == "__main__":
    sys.exit(main())

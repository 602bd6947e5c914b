"""Write the tables of docs/calibration.md: `python scripts/calibration_docs.py FOLDER`, where kapsim calibrate wrote.

What stands between a pair of markers is replaced; the explanations around them are written by hand.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from pages import markdown, replace
from pictures import ROOT

PAGE = ROOT / "docs" / "calibration.md"
UNITS = {
    "effect": "standard deviations", "points": "points", "ratio": "logarithm", "share": "logit", "spread": "logarithm",
}  # fmt: skip
LEARNED = 0.75


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="where kapsim calibrate left its account")
    account = json.loads((parser.parse_args().folder / "calibration.json").read_text(encoding="utf-8"))
    replace(PAGE, blocks(account))
    return 0


def blocks(account: dict[str, Any]) -> dict[str, str]:
    found = {
        "run": run(account),
        "posterior": markdown(
            ("parameter", "prior", "posterior (90 %)", "moved, prior SD", "width kept"),
            [
                [
                    f"`{item['id']}`", f"{item['prior']:.3g}",
                    f"{item['median']:.3g} ({item['low']:.3g} to {item['high']:.3g})",
                    f"{item['moved']:+.1f}", f"{item['kept']:.2f}",
                ]
                for item in sorted(account["parameters"], key=lambda item: item["kept"])
            ],
        ),
        "together": together(account),
        "held out": markdown(
            ("kind", "figures of studies", "RMSE", "bias", "inside 90 %", "noise floor"),
            [
                [
                    f"{kind}, {UNITS[kind]}", f"{score['figures']} of {score['studies']}", f"{score['rmse']:.2f}",
                    f"{score['bias']:+.2f}", f"{100 * score['inside_90']:.0f} %", f"{score['noise_floor']:.2f}",
                ]
                for kind, score in account["held_out"].items()
                if kind in UNITS
            ],
        )
        + signs(account),
    }  # fmt: skip
    if account["variants"]:
        found["variants"] = markdown(
            ("variant", "log density of studies", "behind the best (SE)", "weight", "doubtful studies"),
            [
                [
                    f"`{item['name']}`", f"{item['log_density']:.1f}", f"{item['behind']:.1f} ({item['se']:.1f})",
                    f"{item['weight']:.2f}", item["doubtful"],
                ]
                for item in account["variants"]
            ],
        ) + sampled(account["variants"])  # fmt: skip
    return found


def sampled(variants: list[dict[str, Any]]) -> str:
    samplers = [item["sampler"] for item in variants]
    r_hat = max(sampler["largest_r_hat"] for sampler in samplers)
    effective = min(sampler["smallest_effective_sample"] for sampler in samplers)
    divergences = sum(sampler["divergences"] for sampler in samplers)
    return (
        f"\n\nOf these {len(variants)} posteriors the largest R-hat is {r_hat:.3f}, the smallest effective sample "
        f"{effective:.0f}; {divergences} divergences."
    )


def run(account: dict[str, Any]) -> str:
    made, sampler, emulator = account["made_by"], account["sampler"], account["emulator"]
    learned, free = account["learned"], len(account["parameters"])
    trusted = "Draws are weighted" if emulator["weighted_to_the_model"] else "Draws are not weighted"
    return (
        f"Version {made['kapsim_version']}, seed {made['seed']}: {account['figures']} figures of {account['studies']} "
        f"studies, {free} free parameters; largest R-hat {sampler['largest_r_hat']:.3f}, "
        f"smallest effective sample {sampler['smallest_effective_sample']:.0f}, {sampler['divergences']} divergences. "
        f"The emulator explains {100 * emulator['explained']:.0f} % of the variance of the median figure over the "
        f"design. Of {learned['all']:.1f} nats that the records say of single parameters the free ones have "
        f"{learned['by_free']:.1f}; the other {learned['parameters'] - free} stay with their priors. {trusted} to the "
        f"model's own posterior (Pareto shape {emulator['pareto_shape']:.2f})."
    )


def together(account: dict[str, Any]) -> str:
    pairs = [
        f"`{item['parameters'][0]}` and `{item['parameters'][1]}` ({item['correlation']:+.2f})"
        for item in account["confounded"]
    ]
    known = f"Known only together: {', '.join(pairs)}." if pairs else "No pair is known only together (above 0.6)."
    learned = sum(item["kept"] < LEARNED for item in account["parameters"])
    points = account["scatter"]["points"]
    return (
        f"{known} {learned} of {len(account['parameters'])} keep less than three quarters of their width. "
        f"Figures in points of studies left out scatter around the model by {points['between_studies']:.1f} points "
        f"between studies, {points['between_arms']:.1f} between arms of one, and {points['within']:.1f} besides, "
        "beyond sampling."
    )


def signs(account: dict[str, Any]) -> str:
    score = account["held_out"].get("sign")
    if score is None:
        return ""
    return f"\n\nSigns: {100 * score['right']:.0f} % of {score['figures']}, studies weighted equally."


if __name__ == "__main__":
    sys.exit(main())

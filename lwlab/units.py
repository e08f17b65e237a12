"""Numbers to text: the only place where a figure becomes words on a screen.

Bytes are decimal (1 kB = 1,000 bytes), as file managers and papers print them. Fractions are shown
as percentages with one decimal; nothing is rounded before it gets here.
"""

from __future__ import annotations

__all__ = [
    "format_bytes",
    "format_count",
    "format_duration",
    "format_interval",
    "format_milliseconds",
    "format_percent",
    "format_points",
    "format_ratio",
]


def format_bytes(size_bytes: float) -> str:
    """Return a size: ``830 B``, ``37.1 kB``, ``1.72 MB``."""
    size = float(size_bytes)
    if abs(size) < 1000:
        return f"{size:.0f} B"
    for unit in ("kB", "MB", "GB"):
        size /= 1000
        # 999.95 would print as "1000 kB": the next unit starts where rounding says so.
        if abs(size) < 999.5 or unit == "GB":
            break
    digits = 2 if abs(size) < 9.995 else 1 if abs(size) < 99.95 else 0
    return f"{size:.{digits}f} {unit}"


def format_count(count: int) -> str:
    """Return a count with thousands separators: ``431,080``."""
    return f"{count:,}"


def format_percent(fraction: float, digits: int = 1) -> str:
    """Return a fraction in percent: ``0.9557`` becomes ``95.6 %``."""
    return f"{100 * fraction:.{digits}f} %"


def format_interval(low: float, high: float) -> str:
    """Return an interval of two fractions: ``93.0-97.4 %``."""
    return f"{100 * low:.1f}-{100 * high:.1f} %"


def format_points(difference: float) -> str:
    """Return a difference of two fractions in percentage points: ``-1.3 points``."""
    return f"{100 * difference:+.1f} points"


def format_ratio(ratio: float) -> str:
    """Return a ratio: ``12.0x``."""
    return f"{ratio:.2f}x" if ratio < 10 else f"{ratio:.1f}x" if ratio < 100 else f"{ratio:.0f}x"


def format_milliseconds(milliseconds: float) -> str:
    """Return a latency: ``0.15 ms``, ``1,234 ms``."""
    if milliseconds < 1:
        return f"{milliseconds:.3f} ms"
    return f"{milliseconds:.2f} ms" if milliseconds < 100 else f"{milliseconds:,.0f} ms"


def format_duration(seconds: float) -> str:
    """Return a waiting time: ``0.4 s``, ``12 s``, ``3 min 05 s``, ``1 h 02 min``."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"

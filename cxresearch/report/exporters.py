"""`jupyter nbconvert --to cx-html` and `--to cx-pdf`: the same page and paper as in a report, of one notebook."""

from __future__ import annotations

from typing import Any

from nbconvert.exporters import Exporter
from nbformat import NotebookNode

from cxresearch.report import document, page, paper
from cxresearch.report.blocks import Document


class CxHTMLExporter(Exporter):
    """The report page of a notebook."""

    export_from_notebook = "Report page (HTML)"
    output_mimetype = "text/html"

    def _file_extension_default(self) -> str:
        return ".html"

    def from_notebook_node(  # type: ignore[override]  # every exporter that makes text or bytes differs from its base
        self, nb: NotebookNode, resources: dict[str, Any] | None = None, **kw: Any
    ) -> tuple[str, dict[str, Any]]:
        """The page as text."""
        read, resources = _read(self, nb, resources, **kw)
        return page.render(read), resources


class CxPDFExporter(Exporter):
    """The report paper of a notebook."""

    export_from_notebook = "Report paper (PDF)"
    output_mimetype = "application/pdf"

    def _file_extension_default(self) -> str:
        return ".pdf"

    def from_notebook_node(  # type: ignore[override]  # every exporter that makes text or bytes differs from its base
        self, nb: NotebookNode, resources: dict[str, Any] | None = None, **kw: Any
    ) -> tuple[bytes, dict[str, Any]]:
        """The paper as bytes; what it lacks is said on the log."""
        read, resources = _read(self, nb, resources, **kw)
        made = paper.render(read)
        for warning in made.warnings:
            self.log.warning(warning)
        return made.pdf, resources


def _read(
    exporter: Exporter, nb: NotebookNode, resources: dict[str, Any] | None, **kw: Any
) -> tuple[Document, dict[str, Any]]:
    ready, found = Exporter.from_notebook_node(exporter, nb, resources, **kw)
    name = str(found.get("metadata", {}).get("name") or "notebook")
    read = document.read(ready, name)
    for warning in read.warnings:
        exporter.log.warning(warning)
    return read, found

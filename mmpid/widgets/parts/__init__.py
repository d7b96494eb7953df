"""Parts that all widgets share: charts, pieces of HTML, the style sheet, slow work in a thread, one life per cell."""

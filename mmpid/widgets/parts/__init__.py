"""What the rooms share: charts, small pieces of HTML, the style sheet, slow work in a thread, one life per cell."""

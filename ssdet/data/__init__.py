"""From video files and label tables to clips: every file format has its reader here."""

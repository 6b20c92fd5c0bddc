"""The main job, end to end, with a real server, real models and every answer checked."""

"""The peer of the API: FastAPI takes a task and Huey stores it in Redis; run by one uvicorn process.

Usage: fastapi_huey.py REDIS_PORT PORT. It must not be tuned beyond what their documentation says for production.
"""

import sys

import uvicorn
from fastapi import FastAPI
from huey import RedisHuey
from pydantic import BaseModel

redis_port, port = int(sys.argv[1]), int(sys.argv[2])
huey = RedisHuey("bench", host="127.0.0.1", port=redis_port)
app = FastAPI()


class Task(BaseModel):
    type: str
    payload: dict


@huey.task()
def run(kind, payload):
    return None


@app.get("/readyz")
def ready():
    return "ready"


@app.post("/v1/tasks", status_code=202)
def enqueue(task: Task):
    return {"id": run(task.type, task.payload).id}


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=port, workers=1, access_log=False, log_level="error")

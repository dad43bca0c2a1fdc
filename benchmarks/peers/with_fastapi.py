"""FastAPI: a plain ``def`` endpoint, which FastAPI runs in its threadpool, so that the event loop stays free.

``uvicorn --workers``, as FastAPI's page on deployment says, starts it.
"""

from fastapi import FastAPI, UploadFile

from benchmarks.peers.classifier import Classifier, Task

app = FastAPI()
classifier = Classifier(Task.given())


@app.post("/predict")
def predict(file: UploadFile) -> dict[str, float]:
    return classifier.classify(file.file.read())

"""OpenAI's library for Python against a running server; called by all.test.js."""

import asyncio
import os

import openai

SAID = "Good evening, friend."
MESSAGES = [{"role": "user", "content": "Hello"}]
connection = os.environ["CONNECTION"]
client = openai.OpenAI()

names = [model.id for model in client.models.list()]
assert names[:2] == [f"{connection}/small", "echo/echo"], names
assert client.models.retrieve(names[0]).id == names[0]

answer = client.chat.completions.create(
    model="small", messages=MESSAGES, temperature=0.2, max_tokens=5, presence_penalty=0.1
)
assert answer.choices[0].message.content == SAID, answer
assert answer.usage.total_tokens == 15, answer

picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAEC"}}
parts = [{"role": "user", "content": [{"type": "text", "text": "Look"}, picture]}]
stream = client.chat.completions.create(
    model=names[0], messages=parts, stream=True, stream_options={"include_usage": True}
)
chunks = list(stream)
assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == SAID, chunks
assert chunks[-1].usage.prompt_tokens == 11, chunks[-1]

with client.chat.completions.create(model="endless", messages=MESSAGES, stream=True) as stream:
    for read, _ in enumerate(stream):
        if read == 5:
            break

try:
    openai.OpenAI(api_key="tk-wrong").models.list()
    raise AssertionError("a wrong key was taken")
except openai.AuthenticationError as error:
    assert error.code == "invalid_api_key", error

try:
    client.chat.completions.create(model="x/y/z", messages=[{"role": "tool", "tool_call_id": "1", "content": "x"}])
    raise AssertionError("a tool's message was taken")
except openai.BadRequestError as error:
    assert error.param == "messages[0].role", error


async def several():
    async with openai.AsyncOpenAI() as many:
        asked = (many.chat.completions.create(model="small", messages=MESSAGES) for _ in range(8))
        return await asyncio.gather(*asked)


assert all(each.choices[0].message.content == SAID for each in asyncio.run(several()))
print("all is well")

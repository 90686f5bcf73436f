"""Three functions of an agent, written against the unmodified `bedrock_agentcore` SDK.

Nothing here knows of Identity Portal. Two environment variables point the SDK at it:

    export AWS_ENDPOINT_URL_BEDROCK_AGENTCORE=http://127.0.0.1:8080
    export AWS_ENDPOINT_URL_BEDROCK_AGENTCORE_CONTROL=http://127.0.0.1:8080
    export AWS_ACCESS_KEY_ID=... AWS_SECRET_ACCESS_KEY=...
    export AWS_REGION=us-east-1 AWS_DEFAULT_REGION=us-east-1  # the SDK reads the first, boto3 the second
    export DEMO_HUB_URL=http://127.0.0.1:9000
    python examples/agents/release_notes_agent.py

The SDK reads all of them while this file is imported: the decorators make their clients at once.
"""

import asyncio
import os
import sys

import requests
from bedrock_agentcore.identity.auth import requires_access_token, requires_api_key
from botocore.exceptions import ClientError

HUB = os.environ.get("DEMO_HUB_URL", "http://127.0.0.1:9000")
# With a return URL the agent's own application says who finished the consent; it must be registered for the
# agent. Without one, the person signs in at the portal.
RETURN_URL = os.environ.get("AGENT_RETURN_URL")


def show_link(url: str) -> None:
    """Give the person the link; the SDK asks every five seconds whether they are done."""
    print(f"Open this page to allow access:\n  {url}", flush=True)


def ask_hub(path: str, **headers: str) -> dict:
    answer = requests.get(f"{HUB}/api/{path}", headers=headers, timeout=10)
    answer.raise_for_status()
    return answer.json()


@requires_access_token(
    provider_name=os.environ.get("HUB_PROVIDER", "demo-hub"),
    scopes=["repo:read"],
    auth_flow="USER_FEDERATION",
    callback_url=RETURN_URL,
    on_auth_url=show_link,
)
def draft_release_notes(*, access_token: str) -> None:
    """On behalf of a person who agreed."""
    for repository in ask_hub("repos", Authorization=f"Bearer {access_token}")["repositories"]:
        print(f"{repository['name']} since {repository['latest_release']}:")
        for change in repository["merged_since_release"] or ["nothing yet"]:
            print(f"  - {change}")


@requires_access_token(
    provider_name=os.environ.get("HUB_PROVIDER", "demo-hub"), scopes=["status:read"], auth_flow="M2M"
)
async def check_status(*, access_token: str) -> None:
    """As the agent itself, with nobody behind it."""
    print("Demo Hub is", ask_hub("status", Authorization=f"Bearer {access_token}")["status"])


@requires_api_key(provider_name=os.environ.get("WEATHER_PROVIDER", "demo-weather"))
def look_outside(city: str, *, api_key: str) -> None:
    """With a key that the agent never stores."""
    weather = ask_hub(f"weather?city={city}", **{"X-Api-Key": api_key})
    print(f"{weather['city']}: {weather['sky']}, {weather['celsius']} °C")


if __name__ == "__main__":
    try:
        asyncio.run(check_status())
        look_outside("Lisbon")
        draft_release_notes()
    except ClientError as refused:  # for instance, the person said no
        sys.exit(refused.response["Error"]["Message"])

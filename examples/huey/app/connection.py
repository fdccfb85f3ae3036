"""Connects to the Redis that kedactl names in the environment: by Sentinels or directly, with password files and TLS.

It must not keep an address: after a fail-over the pool asks the Sentinels again.
"""

import os

from redis import ConnectionPool, SSLConnection
from redis.sentinel import Sentinel, SentinelConnectionPool

# Longer than the second for which Huey blocks in BRPOP; a master that froze is given up after it.
ANSWERS_WITHIN = 5


def pool():
    """A pool of connections to the master."""
    common = {
        "db": int(os.environ.get("KEDACTL_REDIS_DB", "0")),
        "username": os.environ.get("KEDACTL_REDIS_USERNAME"),
        "password": _secret("KEDACTL_REDIS_PASSWORD_FILE"),
        "socket_timeout": ANSWERS_WITHIN,
        "socket_connect_timeout": ANSWERS_WITHIN,
        "health_check_interval": 30,
    }
    tls = _tls()
    sentinels = os.environ.get("KEDACTL_REDIS_SENTINELS")
    if not sentinels:
        host, port = _address(os.environ.get("KEDACTL_REDIS_ADDR", "127.0.0.1:6379"))
        if tls:
            common["connection_class"] = SSLConnection
        return ConnectionPool(host=host, port=port, **common, **tls)
    asked = {
        "username": os.environ.get("KEDACTL_REDIS_SENTINEL_USERNAME"),
        "password": _secret("KEDACTL_REDIS_SENTINEL_PASSWORD_FILE"),
        "socket_timeout": 1,
        "socket_connect_timeout": 1,
    }
    if tls:
        asked |= {"ssl": True} | tls
        common["ssl"] = True
    sentinel = Sentinel([_address(it) for it in sentinels.split(",")], sentinel_kwargs=asked)
    return SentinelConnectionPool(os.environ["KEDACTL_REDIS_MASTER_NAME"], sentinel, **common, **tls)


def _address(text):
    host, _, port = text.strip().rpartition(":")
    return host.strip("[]"), int(port)


def _secret(variable):
    path = os.environ.get(variable)
    if not path:
        return None
    with open(path, encoding="utf-8") as file:
        return file.read().strip() or None


def _tls():
    if os.environ.get("KEDACTL_REDIS_TLS") != "true":
        return {}
    settings = {
        "ssl_ca_certs": os.environ.get("KEDACTL_REDIS_CA_FILE"),
        "ssl_certfile": os.environ.get("KEDACTL_REDIS_CERT_FILE"),
        "ssl_keyfile": os.environ.get("KEDACTL_REDIS_KEY_FILE"),
    }
    if os.environ.get("KEDACTL_REDIS_INSECURE") == "true":
        settings["ssl_cert_reqs"] = "none"
    return settings

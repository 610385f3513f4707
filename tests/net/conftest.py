"""Certificates for the TLS tests, made fresh for each run."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import trustme


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    """Files of an authority and of what it signed: for 127.0.0.1, another name, and a client."""
    folder = tmp_path_factory.mktemp("certificates")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    files = {"ca_file": str(folder / "ca.pem")}
    for name, identity in (
        ("server", "127.0.0.1"),
        ("other", "other.test"),
        ("client", "me@x.test"),
    ):
        issued = authority.issue_cert(identity)
        issued.private_key_and_cert_chain_pem.write_to_path(str(folder / f"{name}.pem"))
        files[name] = str(folder / f"{name}.pem")
    return SimpleNamespace(**files)

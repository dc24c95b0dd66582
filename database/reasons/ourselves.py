"""What we and our operators do, and what is wrong with a record."""

from __future__ import annotations

from database.reasons.reason import Reason
from database.words import Origin

OURSELVES: dict[str, Reason] = {
    # --- our own doing
    "enabled": Reason("The record is enabled.", "enabled", origin=Origin.OPERATOR),
    "disabled": Reason("The record is disabled.", "disabled", origin=Origin.OPERATOR),
    "config_changed": Reason("The record was edited.", "edited", origin=Origin.OPERATOR),
    "operator_reconnect": Reason(
        "An operator asked for a reconnect.", "reconnect asked for", origin=Origin.OPERATOR
    ),
    "operator_test": Reason(
        "An operator tests the connection with its own client id.",
        "being tested",
        origin=Origin.OPERATOR,
    ),
    "worker_start": Reason("The worker started.", "worker started", origin=Origin.WORKER),
    "worker_shutdown": Reason("The worker is stopping.", "worker stopping", origin=Origin.WORKER),
    "worker_died": Reason(
        "The worker that held this connection ended without a word; it was last heard of at {at}.",
        "the worker ended without a word",
        "Look at the worker's log from that time.",
        origin=Origin.WORKER,
    ),
    "success": Reason(
        "The broker accepted the connection.",
        "connected",
        fuller={
            "trial_s": "The broker accepted the connection, for {trial_s} s with another client "
            "id: it had closed {sessions} sessions soon after it accepted them, and this shows "
            "whether the client id is the reason."
        },
    ),
    "no_progress": Reason(
        "The connection made no progress in state {state} for {seconds} s and was started afresh.",
        "no progress, started afresh",
        "If it happens again, report it with the worker's log.",
        Origin.WORKER,
    ),
    # --- messages
    "messages_not_stored": Reason(
        "Received messages cannot be stored: {problem}. They wait, and are not acknowledged.",
        "messages cannot be stored",
        "Look at the database; they are stored as soon as it takes them.",
        Origin.WORKER,
    ),
    "messages_stored_again": Reason(
        "Received messages are stored again.", "messages are stored again", origin=Origin.WORKER
    ),
    "subscription_quiet": Reason(
        "No message comes by {topic_filter}; one is expected at least every {every} s.",
        "expected messages do not come",
        "Look at what publishes there: the connection itself stands.",
        Origin.NETWORK,
    ),
    "subscription_heard": Reason(
        "Messages come by every Topic Filter that expects them.", "expected messages come again"
    ),
    # --- derived by readers from the worker's silence, never stored
    "not_picked_up": Reason(
        "The worker has not picked the record up yet.",
        "not picked up yet",
        "Wait a moment; if it stays, look at the worker's log.",
        Origin.WORKER,
    ),
    "no_worker": Reason(
        "No worker has ever reported.",
        "no worker",
        "Start it: python3 manage.py supervisorctl start mqttworker.",
        Origin.WORKER,
    ),
    "worker_silent": Reason(
        "The worker has been silent for {seconds} s, so nobody knows the state.",
        "worker silent",
        "Look at it: python3 manage.py supervisorctl status.",
        Origin.WORKER,
    ),
    "worker_waits": Reason(
        "The database is locked, so the worker cannot report and nobody knows the state.",
        "database locked",
        "End what holds the lock, a backup or an open transaction for example.",
        Origin.WORKER,
    ),
    "worker_stopped": Reason(
        "The worker is stopped: nothing keeps this connection up.",
        "worker stopped",
        "Start it: python3 manage.py supervisorctl start mqttworker.",
        Origin.WORKER,
    ),
    "worker_standby": Reason(
        "The worker stands by for another one that is not heard of.",
        "worker standing by",
        "Wait a moment: it takes over when the other's lease ends.",
        Origin.WORKER,
    ),
    "internal_error": Reason(
        "The worker met an error of its own ({error}).",
        "an error in the worker",
        "Report it with the worker's log; the connection tries again by itself.",
        Origin.WORKER,
    ),
    # --- the record
    "config_error": Reason(
        "{field}: {problem}",
        "the record cannot be used",
        "Edit the record; it starts as soon as it is saved.",
        Origin.CLIENT,
    ),
    "secret_undecryptable": Reason(
        "The stored {field} cannot be decrypted with any of HAWSER_ENCRYPTION_KEYS.",
        "a stored secret cannot be decrypted",
        "Put the key that encrypted it back into HAWSER_ENCRYPTION_KEYS, or enter the secret "
        "again.",
        Origin.WORKER,
    ),
    "password_needs_user_name": Reason(
        "MQTT 3.1.1 carries no password without a user name (MQTT-3.1.2-22), so it was not tried.",
        "a password needs a user name",
        "Enter a user name, or have the broker speak MQTT 5.",
        Origin.CLIENT,
    ),
    "same_client_id": Reason(
        "Connection {other} of this worker already uses client id {client_id} on {host}:{port}.",
        "another record uses its client id",
        "Give one of the two another client id.",
        Origin.CLIENT,
    ),
}

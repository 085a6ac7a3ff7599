"""What the portal keeps. One module a subject; the words are those of docs/words.md."""

from offline_portal.models.approval import Approval
from offline_portal.models.destination import Destination, DestinationSecret, DestinationSettings, Mapping
from offline_portal.models.log import AuditEntry, AuditHead, Heartbeat, IdempotencyKey, Token, Wakeup
from offline_portal.models.readback import Readback, Reader
from offline_portal.models.send import Delivery, Edit, Identifier, Send, SentKey
from offline_portal.models.upload import Row, Upload
from offline_portal.models.wire import Answer, AnswerCopy, Attempt, Batch, Outcome, RequestCopy

__all__ = [
    "Answer", "AnswerCopy", "Approval", "Attempt", "AuditEntry", "AuditHead", "Batch", "Delivery", "Destination",
    "DestinationSecret", "DestinationSettings", "Edit", "Heartbeat", "IdempotencyKey", "Identifier", "Mapping",
    "Outcome", "Readback", "Reader", "RequestCopy", "Row", "Send", "SentKey", "Token", "Upload", "Wakeup",
]

"""Microsoft Entra: tokens, and the directory by Microsoft Graph."""
